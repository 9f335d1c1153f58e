"""Store what arrived, in one commit, and ring the shards' bells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import SHARDS, EventType, Source, Transaction, TransactionStatus
from apps.fraud.money import to_reporting_minor
from apps.fraud.validation import CheckedEvent, error_row

# What happened is scored; what takes a payment back is only recorded.
DECIDED_TYPES = frozenset({EventType.AUTHORIZATION, EventType.ADVICE})
_OPTIONAL_TEXT = (
    "device_id", "network_reference", "original_event_id", "scheme", "bin", "issuer_country", "funding",
    "auth_response", "avs_result", "cvv_result", "sca_exemption", "initiator",
)  # fmt: skip
_SAME = (
    "event_id", "type", "occurred_at", "card_token", "amount_minor", "currency", "merchant_id",
    "terminal_id", "mcc", "country", "entry_mode", "channel", "ip", "latitude", "longitude",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Receipt:
    """Event ids in the order they were sent."""

    accepted: list[str]
    duplicates: list[str]


def shard_of(site_id: int, card_token: str) -> int:
    digest = hashlib.sha256(f"{site_id}:{card_token}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % SHARDS


def ingest_transactions(*, source: Source, events: Sequence[CheckedEvent]) -> Receipt:
    """Store all events or none. LynceusError 409 when an id is known with another body."""
    try:
        return _ingest(source, events)
    except IntegrityError:
        # Another request stored one of these ids between our look and our insert: look again.
        return _ingest(source, events)


@transaction.atomic
def _ingest(source: Source, events: Sequence[CheckedEvent]) -> Receipt:
    known = dict(
        Transaction.objects.filter(
            source=source, event_id__in={item.event.event_id for item in events}
        ).values_list("event_id", "body_sha256")
    )
    receipt = Receipt([], [])
    fresh: list[Transaction] = []
    conflicts: list[dict[str, Any]] = []
    for index, item in enumerate(events):
        event_id = item.event.event_id
        if event_id not in known:
            known[event_id] = item.body_sha256
            receipt.accepted.append(event_id)
            fresh.append(_row(source, item))
        elif known[event_id] == item.body_sha256:
            receipt.duplicates.append(event_id)
        else:
            conflicts.append(error_row(index, event_id, "event_id", "same_id_other_body"))
    if conflicts:
        raise LynceusError(
            "event_conflict",
            "An event id is already known with another body; nothing was stored.",
            status=409,
            extra={"errors": conflicts},
        )
    if fresh:
        Transaction.objects.bulk_create(fresh)
        record(
            "transactions.received",
            site=source.site,
            actor=None,
            subject=f"source:{source.pk}",
            detail={"count": len(fresh), "first_id": fresh[0].pk, "last_id": fresh[-1].pk},
        )
        waiting = {row.shard for row in fresh if row.status == TransactionStatus.PENDING}
        for shard in sorted(waiting):
            ring("fraud.decide_pending", shard)
    return receipt


def _row(source: Source, item: CheckedEvent) -> Transaction:
    event = item.event
    pending = event.type in DECIDED_TYPES
    return Transaction(
        source=source,
        body_sha256=item.body_sha256,
        amount_reporting_minor=to_reporting_minor(event.amount_minor, event.currency),
        three_ds=event.three_ds.model_dump(exclude_none=True) if event.three_ds else None,
        received_at=now(),
        shard=shard_of(source.site_id, event.card_token),
        status=TransactionStatus.PENDING if pending else TransactionStatus.NOT_APPLICABLE,
        **{name: getattr(event, name) for name in _SAME},
        **{name: getattr(event, name) or "" for name in _OPTIONAL_TEXT},
    )
