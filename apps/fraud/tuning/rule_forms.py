"""The forms of the rules' pages: one rule, what to try rules on, one list entry."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, cast

from django import forms

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.backtests.backtest_forms import PERIODS
from apps.fraud.common.cardguard import REFERENCES, holds_card_number
from apps.fraud.common.iso import COUNTRIES
from apps.fraud.common.selectors import sources_of
from apps.fraud.common.text_forms import NO_CARD_NUMBER
from apps.fraud.models import ListKind, ListName
from apps.fraud.rules.expressions import LENGTH_MAX
from apps.fraud.rules.facts import FIELDS
from apps.fraud.rules.rulecheck import BASELINE_MAX, RULES_MAX, TEXT_MAX, FaultyRules, RuleFault
from apps.fraud.rules.rules import Rule


class RuleForm(forms.Form):
    """One rule. `fault`: its condition in three parts, the middle one being what is wrong."""

    code = forms.CharField(max_length=40, help_text="Names it in reasons, for example rule_large_amount.")
    action = forms.ChoiceField(
        choices=[("review", "Review"), ("decline", "Decline"), ("approve", "Approve")], initial="review"
    )
    state = forms.ChoiceField(
        choices=[("live", "Live"), ("shadow", "In shadow: changes nothing")], initial="live"
    )
    value = forms.ChoiceField(
        required=False, choices=[("", "none"), *((name, name) for name in FIELDS)], label="Value shown"
    )
    baseline = forms.CharField(
        required=False, max_length=BASELINE_MAX, help_text="A number, a word or another field."
    )
    when = forms.CharField(
        max_length=LENGTH_MAX,
        label="When",
        widget=forms.Textarea(
            attrs={
                "rows": 2,
                "spellcheck": "false",
                "class": "code",
                "autocomplete": "off",
                "data-condition": "",
            }
        ),
    )
    text = forms.CharField(
        max_length=TEXT_MAX, label="Why, in words", help_text="May hold {value} and {baseline}."
    )
    fault: tuple[str, str, str] | None = None
    written = ""

    def clean_when(self) -> str:
        """With the line ends the grammar knows. Faults are placed in this text."""
        self.written = self.cleaned_data["when"].replace("\r\n", "\n")
        return self.written

    def rule(self) -> Rule:
        given = self.cleaned_data
        return Rule(
            code=given["code"],
            when=given["when"],
            action=given["action"],
            text=given["text"],
            value=given["value"],
            baseline=given["baseline"],
            shadow=given["state"] == "shadow",
        )

    def show(self, fault: RuleFault) -> None:
        message = fault.message
        if fault.at is not None and holds_card_number(self.written):
            return  # what is wrong with it would repeat it
        if fault.at is not None:
            text, end = self.written, fault.at + len(fault.near)
            message = f"Character {fault.at + 1}: {message}"
            self.fault = text[: fault.at], text[fault.at : end] or " ", text[end:]
        self.add_error(fault.field, message)


if TYPE_CHECKING:
    _FormSet = forms.BaseFormSet[RuleForm]
else:
    _FormSet = forms.BaseFormSet


class BaseRules(_FormSet):
    def filled(self) -> list[RuleForm]:
        """The rules there are, in their order, without what was left empty or is to go."""
        gone = self.deleted_forms
        return [form for form in self.forms if form.has_changed() and form not in gone]

    def show(self, error: FaultyRules) -> str:
        """Put each fault at its place; returns those that have none."""
        forms_ = self.filled()
        for fault in error.faults:
            if fault.rule is not None:
                forms_[fault.rule].show(fault)
        return " ".join(fault.message for fault in error.faults if fault.rule is None)


RuleFormSet = cast(
    type[BaseRules],
    forms.formset_factory(
        RuleForm, formset=BaseRules, extra=0, can_delete=True, max_num=RULES_MAX,
        absolute_max=RULES_MAX + 10, validate_max=True,
    ),
)  # fmt: skip


def as_initial(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**rule, "state": "shadow" if rule["shadow"] else "live"} for rule in rules]


class VersionForm(forms.Form):
    """What goes with the rules: why there is a new version, and what to try it on."""

    note = forms.CharField(required=False, max_length=300, label="What changes, and why")
    on = forms.ChoiceField(
        required=False,
        label="Try on",
        choices=[
            ("100", "the last 100 decisions"),
            ("1000", "the last 1,000 decisions"),
            ("events", "the events below"),
        ],
    )
    days = forms.TypedChoiceField(
        required=False,
        choices=PERIODS,
        coerce=int,
        initial="90",
        label="Backtest on the last",
    )
    events = forms.CharField(
        required=False,
        max_length=200_000,
        label="Events",
        help_text="JSON as for the API, one event or a list of up to 100.",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )

    def clean_note(self) -> str:
        note: str = self.cleaned_data["note"]
        if holds_card_number(note):
            raise forms.ValidationError(NO_CARD_NUMBER)
        return note


class EntryForm(forms.Form):
    """Something to block or to allow, and until when."""

    list = forms.ChoiceField(choices=ListName.choices)
    kind = forms.ChoiceField(choices=ListKind.choices)
    value = forms.CharField(max_length=128, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    reason = forms.CharField(max_length=200)
    expires_at = forms.DateTimeField(
        required=False,
        label="Until",
        help_text="Empty: until somebody ends it.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, data: Any = None, *, site: Site) -> None:
        super().__init__(data, label_suffix="")
        self.site = site

    def clean_expires_at(self) -> Any:
        at = self.cleaned_data["expires_at"]
        if at is not None and at <= now():
            raise forms.ValidationError("This time is past.")
        return at

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if holds_card_number(reason):
            raise forms.ValidationError(NO_CARD_NUMBER)
        return reason

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if "value" in given and "kind" in given:
            try:
                given["value"] = self._as_sent(ListKind(given["kind"]), given["value"])
            except forms.ValidationError as error:
                self.add_error("value", error)
        return given

    def _as_sent(self, kind: ListKind, value: str) -> str:
        """The value as events bring it, so that it is found."""
        if holds_card_number(value) and not self._declared(kind):
            raise forms.ValidationError(NO_CARD_NUMBER)
        if not value.isprintable():
            raise forms.ValidationError("Printable characters only.")
        if kind in (ListKind.COUNTRY, ListKind.ISSUER_COUNTRY):
            if value.upper() not in COUNTRIES:
                raise forms.ValidationError("Two letters, as in ISO 3166.")
            return value.upper()
        if kind == ListKind.IP:
            try:
                return str(ipaddress.ip_address(value))
            except ValueError:
                raise forms.ValidationError("An IPv4 or IPv6 address.") from None
        if kind == ListKind.BIN and not re.fullmatch(r"[0-9]{6,8}", value):
            raise forms.ValidationError("Six to eight digits.")
        return value

    def _declared(self, kind: ListKind) -> bool:
        """Whether a source of the site has said that its own numbers look like that."""
        sources = sources_of(self.site)
        if kind == ListKind.CARD_TOKEN:
            return sources.filter(luhn_valid_tokens=True).exists()
        return kind in REFERENCES and sources.filter(numeric_references=True).exists()
