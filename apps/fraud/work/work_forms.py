"""The forms of the queue: how it is narrowed, what becomes of what was ticked, what a desk reviews a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from apps.accounts.models import User
from apps.core.clock import now
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.common.iso import minor_digits
from apps.fraud.common.money import REPORTING_CURRENCY
from apps.fraud.common.text_forms import NO_CARD_NUMBER
from apps.fraud.models import Desk, Move
from apps.fraud.work.budget import PER_DAY_MAX
from apps.fraud.work.queue import State, WorkFilter, analysts_of

ITEMS_MAX = 200
DIGITS = minor_digits(REPORTING_CURRENCY)
MORNING = 8  # the hour of the site's day at which "tomorrow" begins
UNTIL = (("", "Until ..."), ("1h", "for an hour"), ("4h", "for 4 hours"), ("tomorrow", "tomorrow, 8:00"),
         ("monday", "Monday, 8:00"))  # fmt: skip


class WorkForm(forms.Form):
    """The queue's filters, as in its address. A value that is not offered counts as no filter."""

    show = forms.ChoiceField(
        required=False, choices=[(Desk.FRICTION, Desk.FRICTION.label)], widget=forms.HiddenInput
    )
    state = forms.ChoiceField(
        required=False,
        choices=[("", "All that waits"), *State.choices],
        widget=forms.Select(attrs={"data-key": "f", "data-key-label": "Filter"}),
    )
    at_least = forms.DecimalField(
        required=False, min_value=0, max_digits=12, decimal_places=DIGITS, label="At stake, at least",
        widget=forms.NumberInput(attrs={"step": "any", "min": "0"}),
    )  # fmt: skip

    def given(self) -> dict[str, str]:
        """What narrows it, as texts."""
        self.is_valid()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}

    def chosen(self) -> WorkFilter:
        given = self.given()
        least = self.cleaned_data.get("at_least") or 0
        return WorkFilter(
            desk=given.get("show", Desk.LOSS),
            state=given.get("state", ""),
            at_least_minor=int(least * 10**DIGITS),
        )


class MoveForm(forms.Form):
    """What is to become of the ticked items. `until` is cleaned to a time."""

    act = forms.ChoiceField(choices=[*Move.choices, ("release", "give back")])
    items = forms.TypedMultipleChoiceField(coerce=int)
    until = forms.ChoiceField(
        required=False, choices=UNTIL,
        widget=forms.Select(attrs={"data-key": "s", "data-key-label": "Put off until"}),
    )  # fmt: skip
    to = forms.ModelChoiceField(
        queryset=User.objects.none(), required=False, empty_label="Whoever is next",
        widget=forms.Select(attrs={"data-key": "a", "data-key-label": "Give to"}),
    )  # fmt: skip
    note = forms.CharField(
        required=False, max_length=300,
        widget=forms.TextInput(
            attrs={"data-key": "e", "data-key-label": "Why (to escalate)", "placeholder": "Why"}
        ),
    )  # fmt: skip

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data)
        self.fields["to"].queryset = analysts_of(user.site)  # type: ignore[attr-defined]
        self.fields["to"].label_from_instance = lambda one: one.full_name or one.email  # type: ignore[attr-defined]
        # Which items there are is looked up one by one, with the site.
        ids = data.getlist("items")[: ITEMS_MAX + 1] if data is not None else []
        self.fields["items"].choices = [(one, one) for one in ids if one.isdecimal() and len(one) < 19]  # type: ignore[attr-defined]

    def clean_items(self) -> list[int]:
        items: list[int] = self.cleaned_data["items"]
        if len(items) > ITEMS_MAX:
            raise forms.ValidationError(f"No more than {ITEMS_MAX} at once.")
        return items

    def clean_note(self) -> str:
        note: str = self.cleaned_data["note"]
        if holds_card_number(note):
            raise forms.ValidationError(NO_CARD_NUMBER)
        return note

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        act = given.get("act")
        if act == Move.SNOOZE:
            given["until"] = _moment(given.get("until", ""))
            if given["until"] is None:
                self.add_error("until", "Say until when.")
        if act == Move.ESCALATE and not (given.get("to") and given.get("note")):
            self.add_error("note", "To escalate, choose a colleague and say why.")
        return given

    def fault(self) -> str:
        """The first thing that is wrong, in a sentence."""
        return next(str(errors[0]) for errors in self.errors.values())


def _moment(name: str) -> datetime | None:
    if name in ("1h", "4h"):
        return now() + timedelta(hours=int(name[0]))
    today = timezone.localtime(now()).replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if name == "tomorrow":
        return today + timedelta(days=1)
    return today + timedelta(days=7 - today.weekday()) if name == "monday" else None


class CapacityForm(forms.Form):
    desk = forms.ChoiceField(choices=Desk.choices, widget=forms.HiddenInput)
    alerts_per_day = forms.IntegerField(min_value=0, max_value=PER_DAY_MAX, label="Alerts a day")
