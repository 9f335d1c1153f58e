"""Tell sources of their decisions and of what analysts did about them.

Signed after Standard Webhooks, at least once, again until they answer.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.webhooks import GONE, WAITS, send
from apps.fraud.models import Act, ActKind, Decision, Delivery, OutboxRow
from apps.fraud.wire.answers import answer_of
from apps.fraud.wire.services.sources import valid_secrets

log = structlog.get_logger(__name__)
TASK = "fraud.deliver_decisions"
BATCH = 64
LEASE = timedelta(seconds=60)
ROUND_S = 60.0  # a round ends well before the task would be stopped; what is left is rung for again
SILENT = timedelta(seconds=60)


def deliver_due() -> int:
    """Send what is due, a row of each source in turn; returns how many were delivered.

    A source that does not answer has all its due rows put off, so that a dead one costs the others no more
    than one attempt a round, however much waits for it.
    """
    delivered, end = 0, time.monotonic() + ROUND_S
    for pk in _next_rows():
        if time.monotonic() > end:
            break
        if (row := _claim(pk)) is None:
            continue
        answered, ok = _attempt(row)
        delivered += ok
        if not answered:
            _put_off(row.decision.transaction.source_id)
    if due_rows().exists():
        ring(TASK)
    return delivered


def _next_rows() -> list[int]:
    """Keys of due rows: the oldest of each source, then the second oldest of each, and so on."""
    turn = Window(RowNumber(), partition_by=F("decision__transaction__source"), order_by=("due_at", "id"))
    rows = due_rows().annotate(turn=turn).order_by("turn", "due_at", "id")
    return list(rows.values_list("pk", flat=True)[:BATCH])


def _put_off(source_id: int) -> None:
    """All of a silent source's due rows, in one statement: they were not tried, so no attempt is counted."""
    decisions = Decision.objects.filter(transaction__source=source_id)
    due_rows().filter(decision__in=decisions).update(due_at=now() + SILENT)


def due_rows() -> QuerySet[OutboxRow]:
    return OutboxRow.objects.filter(delivered_at=None, dead_at=None, due_at__lte=now()).order_by(
        "due_at", "id"
    )


def ring_due() -> int:
    """For the sweeper: ring once if anything is due."""
    if not due_rows().exists():
        return 0
    ring(TASK)
    return 1


def requeue_dead() -> int:
    """Give up on giving up: every dead row is due again; returns how many."""
    with transaction.atomic():
        dead = OutboxRow.objects.exclude(dead_at=None)
        count = dead.update(dead_at=None, attempts=0, due_at=now())
        if count:
            record("deliveries.requeued", site=None, actor=None, detail={"count": count})
            ring(TASK)
    return count


def _claim(pk: int) -> OutboxRow | None:
    """Compare-and-set on `due_at`: of two workers one gets it, and nobody for as long as the lease runs.

    The attempt is counted here, so that a row whose sender dies each time is given up as well.
    """
    row = OutboxRow.objects.select_related(
        "decision__transaction__source__site",
        "decision__transaction__duplicate_of",
        "decision__evidence",
        "act__entry",
    ).get(pk=pk)
    row.attempts += 1
    claimed = due_rows().filter(pk=pk, due_at=row.due_at)
    return row if claimed.update(due_at=now() + LEASE, attempts=row.attempts) else None


def _attempt(row: OutboxRow) -> tuple[bool, bool]:
    """Send once and write down how it went; returns (the source answered at all, it took it)."""
    start, at = time.perf_counter(), now()
    status, error = _send(row)
    taken = status is not None and 200 <= status < 300
    if taken:
        row.delivered_at = at
    elif status == GONE or row.attempts > len(WAITS):
        row.dead_at = at
        log.error("delivery_given_up", outbox=row.pk, status=status, error=error)
    else:
        row.due_at = at + WAITS[row.attempts - 1]
    with transaction.atomic():
        Delivery.objects.create(
            row=row, at=at, status=status, error=error, took_ms=(time.perf_counter() - start) * 1000
        )
        row.save(update_fields=["delivered_at", "dead_at", "due_at"])
    return status is not None, taken


def _send(row: OutboxRow) -> tuple[int | None, str]:
    """(The status answered, or None; why there is none)."""
    if row.attempts > len(WAITS) + 1:
        return None, "sender_died"  # the last attempt was never written down
    try:
        return send(*_request(row))
    except LynceusError as refusal:
        return None, refusal.code


def _request(row: OutboxRow) -> tuple[str, str, bytes, list[str]]:
    source = row.decision.transaction.source
    body = json.dumps(_message(row), separators=(",", ":")).encode()
    return source.webhook_url, _webhook_id(row), body, valid_secrets(source)


def _webhook_id(row: OutboxRow) -> str:
    """The same each time it is sent."""
    return f"act_{row.act.public_id.hex}" if row.act else f"dec_{row.decision.public_id.hex}"


def _message(row: OutboxRow) -> dict[str, Any]:
    if row.act:
        return {"type": row.topic, "timestamp": row.act.at.isoformat(), "data": _told_of(row.act)}
    made = row.decision
    data = answer_of(made.transaction)
    data["decided_at"] = made.decided_at.isoformat()
    data["source"] = made.transaction.source.slug
    return {"type": row.topic, "timestamp": made.decided_at.isoformat(), "data": data}


def _told_of(act: Act) -> dict[str, Any]:
    """A block names the card as its source did; `until` is null where it has no end."""
    row = act.decision.transaction
    data: dict[str, Any] = {"event_id": row.event_id, "source": row.source.slug, "at": act.at.isoformat()}
    if act.kind == ActKind.BLOCK:
        until = act.entry.expires_at if act.entry and not act.undoes_id else None
        data |= {"card_token": row.card_token, "until": until.isoformat() if until else None}
    return data
