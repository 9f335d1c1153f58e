"""What the overview and the list of events are narrowed to. What cannot be read counts as not said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.common.selectors import sources_of
from apps.fraud.models import Mode, Outcome
from apps.fraud.watch.events import LONGEST, Chosen, Known
from apps.fraud.watch.watch import Period

DAYS = {"": "7 days, by day", "1": "24 hours, by hour", "30": "30 days", "90": "90 days"}
DEFAULT_DAYS = 7
FOR_INPUT = "%Y-%m-%dT%H:%M"


class PeriodForm(forms.Form):
    days = forms.ChoiceField(required=False, label="The last", choices=list(DAYS.items()))

    def period(self) -> Period:
        self.is_valid()
        return Period(int(self.cleaned_data.get("days") or DEFAULT_DAYS))


class Moment(forms.DateTimeField):
    """ISO 8601; without an offset in the reader's zone."""

    def to_python(self, value: Any) -> datetime | None:
        try:
            found = parse_datetime(str(value or ""))
            return timezone.make_aware(found) if found and timezone.is_naive(found) else found
        except (ValueError, OverflowError):
            return None


class EventsForm(forms.Form):
    since = Moment(required=False, label="From")
    until = Moment(required=False, label="Up to")
    outcome = forms.ChoiceField(required=False, choices=[("", "Any"), *Outcome.choices])
    mode = forms.ChoiceField(
        required=False, label="Decided by", choices=[("", "Any"), *((m, m.label.capitalize()) for m in Mode)]
    )
    known = forms.ChoiceField(required=False, label="Known to be", choices=[("", "Any"), *Known.choices])
    source = forms.ChoiceField(required=False)

    def __init__(self, data: Any, *, site: Site) -> None:
        super().__init__(data)
        offered = [(row.slug, row.name) for row in sources_of(site)]
        self.fields["source"].choices = [("", "Any"), *offered]  # type: ignore[attr-defined]

    def chosen(self) -> Chosen:
        """The last 24 hours where nothing is said, and never more than LONGEST."""
        self.is_valid()
        given = self.cleaned_data
        until = given.get("until") or now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        since = given.get("since") or until - timedelta(days=1)
        words = {name: given.get(name) or "" for name in ("outcome", "mode", "known", "source")}
        return Chosen(max(since, until - LONGEST), until, **words)


def shown(chosen: Chosen) -> dict[str, str]:
    """What the list is narrowed to, as the form's fields hold it."""
    times = {
        name: timezone.localtime(getattr(chosen, name)).strftime(FOR_INPUT) for name in ("since", "until")
    }
    words = ("outcome", "mode", "known", "source")
    return times | {name: value for name in words if (value := getattr(chosen, name))}
