"""Tell sources of their decisions: signed after Standard Webhooks, at least once, again until they answer."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import httpx
import structlog
from django.db import transaction
from django.db.models import QuerySet

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.answers import answer_of
from apps.fraud.destinations import Refused, destination_of
from apps.fraud.models import Delivery, OutboxRow
from apps.fraud.services.sources import valid_secrets
from apps.fraud.signatures import sign

log = structlog.get_logger(__name__)
TASK = "fraud.deliver_decisions"
BATCH = 64
TIMEOUT_S = 5.0
LEASE = timedelta(seconds=60)
GONE = 410  # Standard Webhooks: the receiver wants no more of these
# The schedule Standard Webhooks suggests, about three days in all.
WAITS = [timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)]


def deliver_due() -> int:
    """Send what is due, the oldest first; returns how many were delivered.

    A source that does not answer is left alone for the rest of this round: the others do not wait for it.
    """
    delivered, silent = 0, set[int]()
    for pk in list(due_rows().values_list("pk", flat=True)[:BATCH]):
        row = _claim(pk, silent)
        if row is None:
            continue
        source = row.decision.transaction.source
        answered, ok = _attempt(row)
        delivered += ok
        if not answered:
            silent.add(source.pk)
    if due_rows().exclude(decision__transaction__source__in=silent).exists():
        ring(TASK)
    return delivered


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


def _claim(pk: int, silent: set[int]) -> OutboxRow | None:
    """Compare-and-set on `due_at`: of two workers one gets it, and nobody for as long as the lease runs."""
    rows = OutboxRow.objects.select_related(
        "decision__transaction__source__site", "decision__transaction__duplicate_of", "decision__evidence"
    )
    row = rows.get(pk=pk)
    if row.decision.transaction.source_id in silent:
        return None
    claimed = due_rows().filter(pk=pk, due_at=row.due_at).update(due_at=now() + LEASE)
    return row if claimed else None


def _attempt(row: OutboxRow) -> tuple[bool, bool]:
    """Send once and write down how it went; returns (the source answered at all, it took it)."""
    start, at = time.perf_counter(), now()
    status, error = None, ""
    try:
        status = _post(row)
    except (Refused, LynceusError) as refusal:
        error = str(refusal) if isinstance(refusal, Refused) else refusal.code
    except httpx.HTTPError as failure:
        error = type(failure).__name__[:40]
    taken = status is not None and 200 <= status < 300
    row.attempts += 1
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
        row.save(update_fields=["attempts", "delivered_at", "dead_at", "due_at"])
    return status is not None, taken


def _post(row: OutboxRow) -> int:
    """The status of the answer. Its body is not read, and a redirection not followed."""
    source = row.decision.transaction.source
    target = destination_of(source.webhook_url)
    body = json.dumps(_message(row), separators=(",", ":")).encode()
    webhook_id, at = f"dec_{row.decision.public_id.hex}", int(time.time())
    # With every valid secret, so that the receiver may change over when it likes.
    signatures = " ".join(sign(secret, webhook_id, at, body) for secret in valid_secrets(source))
    headers = {
        "host": target.netloc,
        "content-type": "application/json",
        "user-agent": "Lynceus",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signatures,
    }
    # Proxies of the environment would connect elsewhere than to the checked address.
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
        request = client.build_request(
            "POST", target.url, content=body, headers=headers, extensions={"sni_hostname": target.host}
        )
        request.extensions["timeout"] = httpx.Timeout(TIMEOUT_S).as_dict()
        answer = client.send(request, stream=True)
        answer.close()
        return answer.status_code


def _message(row: OutboxRow) -> dict[str, Any]:
    made = row.decision
    data = answer_of(made.transaction)
    data["decided_at"] = made.decided_at.isoformat()
    data["source"] = made.transaction.source.slug
    return {"type": row.topic, "timestamp": made.decided_at.isoformat(), "data": data}
