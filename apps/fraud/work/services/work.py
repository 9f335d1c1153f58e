"""Taking work items: one analyst each, until the work is settled, given back, or the lock runs out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import Alert, AlertStatus, Desk, WorkItem
from apps.fraud.work.queue import free_items
from apps.fraud.work.services.gather import sum_up

HELD = timedelta(minutes=10)


@transaction.atomic
def take_next(*, site: Site, desk: Desk, user: User) -> WorkItem | None:
    """Lock a free item: one that was given to this analyst by name, else the one with the most at stake. None
    where there is none.

    Analysts who ask at the same moment each get another: a row that somebody is just taking is passed over.
    """
    at = now()
    free = (
        free_items(site, desk, user, at)
        .exclude(locked_by=user, locked_until__gt=at)
        .select_for_update(skip_locked=True, of=("self",))
    )
    item = free.filter(assignee=user).first() or free.first()
    return None if item is None else _lock(item, user, at)


@transaction.atomic
def take_item(item: WorkItem, user: User, *, over: bool = False) -> WorkItem:
    """LynceusError 409 item_locked while somebody else works on it, unless it is taken `over`; 409
    item_closed where it is settled."""
    item, at = open_item(item), now()
    if item.is_held(at) and item.locked_by_id != user.pk:
        if not over:
            raise locked_by_another(item)
        record(
            "work.taken_over", site=item.site, actor=user, subject=f"item:{item.pk}",
            detail={"from": f"user:{item.locked_by_id}"},
        )  # fmt: skip
    return _lock(item, user, at)


def hold_item(item: WorkItem, user: User) -> bool:
    """Keep it for longer; False where it is not this analyst's (any more)."""
    mine = WorkItem.objects.filter(pk=item.pk, locked_by=user, locked_until__gt=now())
    return bool(mine.update(locked_until=now() + HELD))


def release_item(item: WorkItem, user: User) -> bool:
    """Give it back; False where it was not this analyst's (any more)."""
    mine = WorkItem.objects.filter(pk=item.pk, locked_by=user)
    return bool(mine.update(locked_by=None, locked_until=None))


def close_alerts(item: WorkItem, alert_ids: Collection[int], user: User) -> list[Alert]:
    """Close those alerts of an item that this analyst holds, inside the caller's transaction.

    The caller names what was on the screen: an alert that came meanwhile stays open, and the item with it,
    free for whoever takes it next. LynceusError 409 item_not_yours, or alert_settled where one of them is
    closed already.
    """
    item, at = open_item(item), now()
    if item.locked_by_id != user.pk or not item.is_held(at):
        raise LynceusError(
            "item_not_yours", "You no longer hold this card: take it again, and look at it once more.",
            status=409,
        )  # fmt: skip
    alerts = list(item.alerts.filter(pk__in=alert_ids, status=AlertStatus.OPEN).order_by("pk"))
    if len(alerts) != len(set(alert_ids)):
        raise LynceusError("alert_settled", "One of these alerts is settled already.", status=409)
    item.alerts.filter(pk__in=[alert.pk for alert in alerts]).update(status=AlertStatus.CLOSED, closed_at=at)
    item.locked_by, item.locked_until = None, None
    sum_up([item], at)
    return alerts


def locked_by_another(item: WorkItem) -> LynceusError:
    who = item.locked_by.full_name or item.locked_by.email  # type: ignore[union-attr]
    return LynceusError("item_locked", f"{who} is working on this card.", status=409)


def open_item(item: WorkItem) -> WorkItem:
    """As it is now, and nobody else's to change until the transaction ends."""
    found = WorkItem.objects.select_for_update(of=("self",)).select_related("locked_by", "site")
    item = found.get(pk=item.pk)
    if item.closed_at is not None:
        raise LynceusError("item_closed", "This card's alerts are all settled.", status=409)
    return item


def _lock(item: WorkItem, user: User, at: datetime) -> WorkItem:
    item.locked_by, item.locked_until = user, at + HELD
    item.save(update_fields=["locked_by", "locked_until"])
    return item
