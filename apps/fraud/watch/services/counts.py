"""Count decisions by the hour, in small pieces and never more than a twentieth of the time.

An hour is counted whole each time, from the decisions and labels: counting it again changes nothing. While it
goes on it is due again after a while that grows with what counting it took; when it has ended it is counted
once more, and then only when something becomes known of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db import transaction

from apps.core.clock import now
from apps.fraud.models import (
    Alert,
    CountedHour,
    CountMark,
    Decision,
    FraudLabel,
    HourlyCount,
    HourlyDrift,
    HourlyLatency,
)
from apps.fraud.watch.services.counting import HOUR, cells_of, drift_of, latencies_of

Counted = TypeVar("Counted", HourlyCount, HourlyLatency, HourlyDrift)
BUDGET_S = 5.0
AGAIN_S, PAUSES = 10.0, 20.0  # how soon at the earliest, and how many times what it took
SETTLED = timedelta(minutes=2)  # what is decided in an hour is committed by so long after its end
BACK = timedelta(days=400)
AT_ONCE = 20_000
COMMITTED = timedelta(minutes=1)  # keys are handed out before what has them can be seen


def count_due(budget_s: float = BUDGET_S) -> int:
    """Count the hours that are due, the newest first, for about so long; returns how many."""
    until = time.monotonic() + budget_s
    _open_hours(now())
    _mark_what_became_known()
    counted = 0
    while (start := _next_due()) is not None and count_hour(start):
        counted += 1
        if time.monotonic() >= until:
            break
    return counted


def count_again(since: datetime) -> int:
    """Have all hours from then on counted anew; returns how many those are."""
    _open_hours(now())
    return CountedHour.objects.filter(start__gte=hour_of(since)).update(due_at=now())


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def count_hour(start: datetime) -> bool:
    """False where somebody else counts it. Readers see it as it was until it is counted."""
    began, at = time.monotonic(), now()
    with transaction.atomic():
        due = CountedHour.objects.select_for_update(skip_locked=True).filter(pk=start, due_at__lte=at)
        hour = due.first()
        if hour is None:
            return False
        _replace(HourlyCount, start, cells_of(start))
        _replace(HourlyLatency, start, latencies_of(start))
        # Inputs do not change when something becomes known of them, and their evidence is not kept for ever.
        if hour.counted_at is None or hour.counted_at < start + HOUR + SETTLED:
            _replace(HourlyDrift, start, drift_of(start))
        over = at >= start + HOUR + SETTLED
        pause = timedelta(seconds=max(AGAIN_S, PAUSES * (time.monotonic() - began)))
        hour.counted_at, hour.due_at = at, None if over else now() + pause
        hour.save(update_fields=["counted_at", "due_at"])
    return True


def _replace(model: type[Counted], start: datetime, rows: Sequence[Counted]) -> None:
    model._base_manager.filter(hour=start).delete()
    model._base_manager.bulk_create(rows)


def _next_due() -> datetime | None:
    due = CountedHour.objects.filter(due_at__lte=now()).order_by("-start")
    return due.values_list("start", flat=True).first()


def _open_hours(at: datetime) -> None:
    """A row for each hour up to now, from the first decision or the last row on."""
    last = CountedHour.objects.order_by("-start").values_list("start", flat=True).first()
    if last is None:
        first = Decision.objects.order_by("decided_at").values_list("decided_at", flat=True).first()
        if first is None:
            return
        last = hour_of(max(first, at - BACK)) - HOUR
    missing = range(1, (hour_of(at) - last) // HOUR + 1)
    rows = [CountedHour(start=last + number * HOUR, due_at=at) for number in missing]
    CountedHour.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def _mark_what_became_known() -> None:
    """Have hours counted again of whose decisions something became known, or an alert was raised later."""
    at = now()
    mark = CountMark.objects.select_for_update().filter(pk=1).first()
    if mark is None:  # all that is known so far is counted with the hours, which are new as well
        CountMark.objects.create(pk=1, label_id=_last_key(FraudLabel), alert_id=_last_key(Alert))
        return
    labels = FraudLabel.objects.filter(pk__gt=mark.label_id).order_by("pk")
    labelled = list(labels.values_list("pk", "received_at", "transaction__decision__decided_at")[:AT_ONCE])
    alerts = Alert.objects.filter(pk__gt=mark.alert_id).order_by("pk")
    alerted = list(alerts.values_list("pk", "created_at", "decision__decided_at")[:AT_ONCE])
    hours = {hour_of(decided_at) for _, _, decided_at in labelled if decided_at}
    hours |= {hour_of(decided_at) for _, raised_at, decided_at in alerted if raised_at > decided_at + HOUR}
    CountedHour.objects.filter(start__in=hours, due_at=None).update(due_at=at)
    sure = at - COMMITTED
    mark.label_id = max((pk for pk, told_at, _ in labelled if told_at < sure), default=mark.label_id)
    mark.alert_id = max((pk for pk, told_at, _ in alerted if told_at < sure), default=mark.alert_id)
    mark.save()


def _last_key(model: type[FraudLabel | Alert]) -> int:
    return model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
