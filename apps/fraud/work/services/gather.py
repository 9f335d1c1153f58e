"""Put new alerts into work items, one a card and desk. The decision itself writes only the alert: nobody
who waits for an answer waits for an analyst's lock."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Min, Sum

from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud.common.selectors import action_for
from apps.fraud.models import Action, Alert, AlertStatus, Desk, WorkItem

TASK = "fraud.gather_alerts"
BATCH = 1000
RUNG_S = 1.0  # a bell a second and process: the first finds what came since
Key = tuple[int, str, str]  # site, desk, card

_rang_at = 0.0


def ring_gather() -> None:
    """Once the surrounding transaction has committed; what one bell misses the next or the sweeper finds."""
    global _rang_at
    if time.monotonic() - _rang_at >= RUNG_S:
        _rang_at = time.monotonic()
        ring(TASK)


def ring_ungathered() -> int:
    """For the sweeper: ring once if an alert lies in no item."""
    if not Alert.objects.filter(item=None, status=AlertStatus.OPEN).exists():
        return 0
    ring(TASK)
    return 1


def gather_alerts() -> int:
    """All there are; returns how many alerts were put into an item."""
    total = 0
    while found := _gather_some():
        total += found
    return total


@transaction.atomic
def _gather_some() -> int:
    alerts = list(
        Alert.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(item=None, status=AlertStatus.OPEN)
        .select_related("decision__transaction__source")
        .order_by("pk")[:BATCH]
    )
    if not alerts:
        return 0
    by_key: dict[Key, list[Alert]] = defaultdict(list)
    for alert in alerts:
        desk = desk_of(alert)
        alert.at_stake_minor = at_stake(alert, desk)
        by_key[alert.site_id, desk, alert.decision.transaction.card_token].append(alert)
    WorkItem.objects.bulk_create(
        [_new_item(key, by_key[key]) for key in sorted(by_key)], ignore_conflicts=True
    )
    items = {(item.site_id, item.desk, item.card_token): item for item in _locked(by_key)}
    placed = [alert for key, item in items.items() for alert in by_key[key]]
    for key, item in items.items():
        for alert in by_key[key]:
            alert.item = item
    Alert.objects.bulk_update(placed, ["item", "at_stake_minor"], batch_size=BATCH)
    sum_up(list(items.values()))
    return len(placed)


def _locked(keys: Iterable[Key]) -> list[WorkItem]:
    """The open items of these keys, locked in the order of their primary keys. One that an analyst closed a
    moment ago is not among them: its alerts wait for the next round."""
    wanted = set(keys)
    sites, desks, cards = map(set, zip(*wanted, strict=True))
    rows = WorkItem.objects.select_for_update().filter(
        closed_at=None, site__in=sites, desk__in=desks, card_token__in=cards
    )
    return [item for item in rows.order_by("pk") if (item.site_id, item.desk, item.card_token) in wanted]


def sum_up(items: Sequence[WorkItem], at: datetime | None = None) -> None:
    """Bring locked items' sums to what their open alerts come to; an item without any is closed."""
    at = at or now()
    open_alerts = Alert.objects.filter(item__in=items, status=AlertStatus.OPEN).order_by()
    sums = {
        row["item"]: row
        for row in open_alerts.values("item").annotate(
            n=Count("pk"), amount=Sum("amount_reporting_minor"), stake=Sum("at_stake_minor"),
            oldest=Min("created_at"),
        )
    }  # fmt: skip
    for item in items:
        if (row := sums.get(item.pk)) is None:
            item.alert_count = item.amount_reporting_minor = item.at_stake_minor = 0
            item.closed_at, item.locked_by, item.locked_until, item.snoozed_until = at, None, None, None
            continue
        item.alert_count, item.amount_reporting_minor = row["n"], row["amount"]
        item.at_stake_minor = row["stake"]
        item.due_at = row["oldest"] + due_within(item.desk)
    WorkItem.objects.bulk_update(
        items,
        ["alert_count", "amount_reporting_minor", "at_stake_minor", "due_at", "closed_at", "locked_by",
         "locked_until", "snoozed_until"],
        batch_size=BATCH,
    )  # fmt: skip


def _new_item(key: Key, alerts: Sequence[Alert]) -> WorkItem:
    site_id, desk, card_token = key
    opened_at = min(alert.created_at for alert in alerts)
    return WorkItem(
        site_id=site_id, desk=desk, card_token=card_token, alert_count=len(alerts),
        amount_reporting_minor=sum(alert.amount_reporting_minor for alert in alerts),
        at_stake_minor=sum(alert.at_stake_minor or 0 for alert in alerts),
        opened_at=opened_at, due_at=opened_at + due_within(desk),
    )  # fmt: skip


def due_within(desk: str) -> timedelta:
    minutes = settings.LYNCEUS_DUE_LOSS_MIN if desk == Desk.LOSS else settings.LYNCEUS_DUE_FRICTION_MIN
    return timedelta(minutes=minutes)


def desk_of(alert: Alert) -> Desk:
    """The declined customers' desk where the sender turned the payment away."""
    made = alert.decision
    declined = action_for(made.transaction.source, made) == Action.DECLINE
    return Desk.FRICTION if declined else Desk.LOSS


def at_stake(alert: Alert, desk: Desk) -> int:
    """What a wrong decision is expected to cost, in minor units of the reporting currency. Where no score
    was the whole amount is."""
    amount, risk = alert.amount_reporting_minor, alert.risk_minor
    if desk == Desk.LOSS:
        return risk
    scored = alert.decision.score is not None
    return amount - risk if scored else amount
