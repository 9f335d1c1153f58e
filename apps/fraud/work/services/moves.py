"""Leaving a work item to somebody else or to later: given, escalated, put off. Each on record."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import Move, WorkItem, WorkMove
from apps.fraud.work.services.work import locked_by_another, open_item

SNOOZE_MAX = timedelta(days=30)


@transaction.atomic
def snooze_item(item: WorkItem, user: User, until: datetime, note: str = "") -> None:
    """Nobody is given it next before then; its due time stays. LynceusError 409 as `_mine_to_move`, 422
    bad_until."""
    at = now()
    if not at < until <= at + SNOOZE_MAX:
        raise LynceusError("bad_until", "Put it off for up to 30 days from now.", status=422)
    item = _mine_to_move(item, user, at)
    item.snoozed_until = until
    _keep(item, WorkMove(item=item, kind=Move.SNOOZE, by=user, until=until, note=note, at=at))


@transaction.atomic
def assign_item(item: WorkItem, user: User, to: User | None, note: str = "") -> None:
    """To a colleague, who then gets it next, or back to whoever is next. Errors as `_mine_to_move`."""
    at = now()
    item = _mine_to_move(item, user, at)
    item.assignee = to
    _keep(item, WorkMove(item=item, kind=Move.ASSIGN, by=user, to=to, note=note, at=at))


@transaction.atomic
def escalate_item(item: WorkItem, user: User, to: User, note: str) -> None:
    """To somebody else, for a reason; it is awake and marked until it is settled. LynceusError 409 as
    `_mine_to_move`, 422 bad_escalation."""
    if to == user or not note:
        raise LynceusError("bad_escalation", "Escalate to somebody else, and say why.", status=422)
    at = now()
    item = _mine_to_move(item, user, at)
    item.assignee, item.escalated_at, item.snoozed_until = to, at, None
    _keep(item, WorkMove(item=item, kind=Move.ESCALATE, by=user, to=to, note=note, at=at))


def _mine_to_move(item: WorkItem, user: User, at: datetime) -> WorkItem:
    """LynceusError 409 item_locked while somebody else works on it, item_closed where it is settled."""
    item = open_item(item)
    if item.is_held(at) and item.locked_by_id != user.pk:
        raise locked_by_another(item)
    item.locked_by, item.locked_until = None, None
    return item


def _keep(item: WorkItem, move: WorkMove) -> None:
    item.save(update_fields=["locked_by", "locked_until", "assignee", "snoozed_until", "escalated_at"])
    move.save()
    detail = {"to": f"user:{move.to_id}"} if move.to_id else {}
    if move.until:
        detail["until"] = move.until.isoformat()
    record(f"work.{move.kind}", site=item.site, actor=move.by, subject=f"item:{item.pk}", detail=detail)
