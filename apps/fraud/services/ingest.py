"""Store what arrived, in one commit, and ring the shards' bells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Min

from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import SHARDS, EventKey, EventType, Source, Transaction, TransactionStatus
from apps.fraud.money import Rate, to_reporting_minor
from apps.fraud.services.rates import business_day, rates_of
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
REPEATS_WITHIN = timedelta(days=30)
_PAYMENT = ("network_reference", "type", "amount_minor", "currency")


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
        EventKey.objects.filter(
            source=source, event_id__in={item.event.event_id for item in events}
        ).values_list("event_id", "body_sha256")
    )
    receipt = Receipt([], [])
    fresh: list[CheckedEvent] = []
    conflicts: list[dict[str, Any]] = []
    for index, item in enumerate(events):
        event_id = item.event.event_id
        if event_id not in known:
            known[event_id] = item.body_sha256
            receipt.accepted.append(event_id)
            fresh.append(item)
        elif known[event_id] == item.body_sha256:
            receipt.duplicates.append(event_id)
        else:
            conflicts.append(error_row(index, event_id, "event_id", "same_id_other_body"))
    if conflicts:
        raise event_conflict(conflicts)
    if fresh:
        rows = store_events(source=source, events=fresh, actor=None)
        for shard in sorted({row.shard for row in rows if row.status == TransactionStatus.PENDING}):
            ring("fraud.decide_pending", shard)
    return receipt


def event_conflict(errors: list[dict[str, Any]]) -> LynceusError:
    return LynceusError(
        "event_conflict",
        "An event id is already known with another body; nothing was stored.",
        status=409,
        extra={"errors": errors},
    )


def store_events(*, source: Source, events: Sequence[CheckedEvent], actor: Actor) -> list[Transaction]:
    """Rows, keys and the audit's record of new events, in the caller's transaction.

    IntegrityError when another request stored one of the ids first.
    """
    rates = rates_of((item.event.currency, business_day(item.event.occurred_at)) for item in events)
    rows = Transaction.objects.bulk_create(
        row_of(source, item, rates[item.event.currency, business_day(item.event.occurred_at)])
        for item in events
    )
    EventKey.objects.bulk_create(
        EventKey(transaction=row, source=source, event_id=row.event_id, body_sha256=item.body_sha256)
        for row, item in zip(rows, events, strict=True)
    )
    mark_repeats(source, rows)
    record(
        "transactions.received",
        site=source.site,
        actor=actor,
        subject=f"source:{source.pk}",
        detail={"count": len(rows), "first_id": rows[0].pk, "last_id": rows[-1].pk},
    )
    return rows


def mark_repeats(source: Source, rows: Sequence[Transaction]) -> None:
    """Point each row at the first transaction with the same network reference, type and money, if any.

    The network names one payment by its reference: the same one under a new id was sent twice. Networks use
    references again, so only lately. Two at the very same moment do not see each other.
    """
    referenced = [row for row in rows if row.network_reference]
    if not referenced:
        return
    same = Transaction.objects.filter(
        source=source,
        network_reference__in={row.network_reference for row in referenced},
        received_at__gte=now() - REPEATS_WITHIN,
    )
    first = {
        tuple(row[name] for name in _PAYMENT): row["first"]
        for row in same.values(*_PAYMENT).annotate(first=Min("id")).order_by()
    }
    repeats = [row for row in referenced if first[_payment(row)] != row.pk]
    for row in repeats:
        row.duplicate_of_id = first[_payment(row)]
    Transaction.objects.bulk_update(repeats, ["duplicate_of"])


def _payment(row: Transaction) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _PAYMENT)


def row_of(source: Source, item: CheckedEvent, rate: Rate) -> Transaction:
    event = item.event
    pending = event.type in DECIDED_TYPES
    return Transaction(
        source=source,
        amount_reporting_minor=to_reporting_minor(event.amount_minor, event.currency, rate),
        fx_rate=rate.value,
        fx_date=rate.since,
        three_ds=event.three_ds.model_dump(exclude_none=True) if event.three_ds else None,
        received_at=now(),
        shard=shard_of(source.site_id, event.card_token),
        status=TransactionStatus.PENDING if pending else TransactionStatus.NOT_APPLICABLE,
        **{name: getattr(event, name) for name in _SAME},
        **{name: getattr(event, name) or "" for name in _OPTIONAL_TEXT},
    )
