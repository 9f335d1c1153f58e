"""What an analyst says of alerts, what they do, and whom they spoke to, as forms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms

from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.models import (
    GROUNDS,
    NOTE_MAX,
    Alert,
    Case,
    ContactChannel,
    ContactOutcome,
    Decision,
    FraudType,
    Ground,
    ListKind,
    ListName,
    Verdict,
)
from apps.fraud.settle.services.acts import LISTABLE
from apps.fraud.settle.services.dispositions import Said, check
from apps.fraud.templatetags.payments import amount

NO_CARD_NUMBER = "This holds a card number. Leave it out."
PERIODS = (
    ("1", "a day"),
    ("7", "a week"),
    ("30", "30 days"),
    ("365", "a year"),
    ("", "until somebody ends it"),
)
TYPES = [("", "Choose…"), *((one.value, one.label.capitalize()) for one in FraudType)]


def until(days: str) -> datetime | None:
    return now() + timedelta(days=int(days)) if days else None


def _note(rows: int = 2) -> forms.CharField:
    return forms.CharField(
        required=False, max_length=NOTE_MAX, widget=forms.Textarea(attrs={"rows": rows, "spellcheck": "true"})
    )


def _period(initial: str) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, choices=PERIODS, initial=initial, label="For")


class DispositionForm(forms.Form):
    """A reason for each verdict: the page shows those of the one that is chosen. `alerts`: an item's open
    ones, all chosen to begin with; None where what is said is about alerts that are settled."""

    alert = forms.TypedMultipleChoiceField(
        coerce=int, label="Alerts", widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "One of these alerts is settled already: look again."},
    )  # fmt: skip
    verdict = forms.ChoiceField(choices=Verdict.choices, widget=forms.RadioSelect, label="It is")
    type = forms.ChoiceField(required=False, choices=TYPES, label="Type of fraud")
    block = forms.BooleanField(required=False, label="Block the card")
    block_days = _period("30")
    release = forms.BooleanField(required=False, label="Release the held payments")
    note = _note()

    def __init__(self, data: Any = None, *, alerts: Sequence[Alert] | None = None, **given: Any) -> None:
        super().__init__(data, label_suffix="", **given)
        if alerts is None:
            del self.fields["alert"]
        else:
            chosen: Any = self.fields["alert"]
            chosen.choices = [(alert.pk, _words(alert)) for alert in alerts]
            chosen.initial = [alert.pk for alert in alerts]
        for verdict, grounds in GROUNDS.items():
            choices = [("", "Choose…"), *((one.value, one.label.capitalize()) for one in grounds)]
            self.fields[f"reason_{verdict}"] = forms.ChoiceField(
                required=False, choices=choices, label="What it rests on"
            )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if "verdict" in given:
            verdict = Verdict(given["verdict"])
            if not given.get(f"reason_{verdict}"):
                self.add_error(f"reason_{verdict}", "Say what it rests on.")
            elif not self.errors:
                try:
                    check(self.said())
                except LynceusError as error:
                    self.add_error(None, error.message)
        return given

    def said(self) -> Said:
        """What belongs to another verdict than the chosen one is left out."""
        given, verdict = self.cleaned_data, Verdict(self.cleaned_data["verdict"])
        fraud = verdict == Verdict.FRAUD and given["type"]
        block = given["block"] and verdict in (Verdict.FRAUD, Verdict.CANNOT_TELL)
        return Said(
            verdict=verdict, reason=Ground(given[f"reason_{verdict}"]),
            type=FraudType(given["type"]) if fraud else None, note=given["note"].strip(),
            release=given["release"] and verdict == Verdict.LEGITIMATE,
            block=block, until=until(given["block_days"]) if block else None,
        )  # fmt: skip


def _words(alert: Alert) -> str:
    row = alert.decision.transaction
    return f"{amount(row)} at {row.merchant_id}"


class ContactForm(forms.Form):
    """`made_at` is in the site's time zone; left out it is now."""

    channel = forms.ChoiceField(choices=ContactChannel.choices, label="How")
    outcome = forms.ChoiceField(choices=ContactOutcome.choices, label="What came of it")
    made_at = forms.DateTimeField(
        required=False, label="When", help_text="Empty: now.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )  # fmt: skip
    note = _note()

    def clean_note(self) -> str:
        return _guarded(self.cleaned_data["note"])

    def clean_made_at(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["made_at"]
        if at is not None and at > now():
            raise forms.ValidationError("This time has not come yet.")
        return at


class BlockForm(forms.Form):
    days = _period("30")
    reason = forms.CharField(max_length=200, label="Why")

    def clean_reason(self) -> str:
        return _guarded(self.cleaned_data["reason"])


class ListForm(BlockForm):
    """What the payment came by; kinds it came without are not offered."""

    name = forms.ChoiceField(choices=ListName.choices, label="List")
    kind = forms.ChoiceField(label="What")
    field_order = ("kind", "name", "days", "reason")

    def __init__(self, data: Any = None, *, made: Decision, **given: Any) -> None:
        super().__init__(data, label_suffix="", **given)
        row = made.transaction
        kind: Any = self.fields["kind"]
        kind.choices = [
            (one.value, f"{one.label} {getattr(row, one)}") for one in LISTABLE if getattr(row, one)
        ]
        self.kinds = [ListKind(value) for value, _ in kind.choices]


class IntoCaseForm(forms.Form):
    """An open case, or the title of a new one."""

    case = forms.ModelChoiceField(
        Case.objects.none(), required=False, empty_label="A new case", to_field_name="public_id"
    )
    title = forms.CharField(required=False, max_length=150, label="Its title")

    def __init__(self, data: Any = None, *, cases: Any, **given: Any) -> None:
        super().__init__(data, label_suffix="", **given)
        field: Any = self.fields["case"]
        field.queryset = cases
        field.label_from_instance = lambda case: f"{case.number} {case.title}"

    def clean_title(self) -> str:
        return _guarded(self.cleaned_data["title"])

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if not given.get("case") and not given.get("title"):
            self.add_error("title", "Name the new case.")
        return given


def _guarded(text: str) -> str:
    if holds_card_number(text):
        raise forms.ValidationError(NO_CARD_NUMBER)
    return text.strip()
