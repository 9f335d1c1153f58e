"""Store what arrived, in one commit, and ring the shards' bells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Min

from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.sql import Answered, insert, new_ids, new_row, one_of, round_trip, run
from apps.fraud.common.money import Rate, to_reporting_minor
from apps.fraud.common.services.rates import business_day, rates_of
from apps.fraud.models import DECIDED_TYPES, SHARDS, EventKey, Source, Transaction, TransactionStatus
from apps.fraud.serving.services.reversals import match_stored, reversals_of
from apps.fraud.wire.validation import CheckedEvent, error_row

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
    with round_trip():
        asked = ask_known(source.pk, [item.event.event_id for item in events])
        ids = new_ids(Transaction, len(events))
    known = {event_id: body_sha256 for event_id, _, body_sha256 in asked.fetchall()}
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
        rows = rows_of(source, fresh, [pk for (pk,) in ids.fetchall()])
        with round_trip():
            store_rows(rows, fresh, actor=None)
        match_stored(rows)
        for shard in sorted({row.shard for row in rows if row.status == TransactionStatus.PENDING}):
            ring("fraud.decide_pending", shard)
    return receipt


def ask_known(source_id: int, event_ids: Sequence[str]) -> Answered:
    """Rows of (event id, transaction, hash of its body) for those of the ids that are known."""
    among, wanted = one_of(event_ids)
    return run(
        "SELECT event_id, transaction_id, body_sha256 FROM fraud_eventkey"
        f" WHERE source_id = %s AND event_id {among}",
        [source_id, wanted],
    )


def event_conflict(errors: list[dict[str, Any]]) -> LynceusError:
    return LynceusError(
        "event_conflict",
        "An event id is already known with another body; nothing was stored.",
        status=409,
        extra={"errors": errors},
    )


def rows_of(source: Source, events: Sequence[CheckedEvent], ids: Sequence[int]) -> list[Transaction]:
    """The transactions as they will be stored, the first of the ids for the first of the events."""
    wanted = {(item.event.currency, business_day(item.event.occurred_at)) for item in events}
    rates = rates_of(wanted)
    at = now()
    rows = [
        _row(pk, source, item, rates[item.event.currency, business_day(item.event.occurred_at)], at)
        for pk, item in zip(ids, events, strict=False)
    ]
    mark_repeats(source, rows)
    return rows


def store_rows(rows: Sequence[Transaction], events: Sequence[CheckedEvent], *, actor: Actor) -> None:
    """Rows of one source, their keys and the audit's record of them, in the caller's transaction.

    IntegrityError when another request stored one of the ids first.
    """
    source = rows[0].source
    keys = [_key(row, item) for row, item in zip(rows, events, strict=True)]
    insert(rows, keys, reversals_of(rows))
    record(
        "transactions.received",
        site=source.site,
        actor=actor,
        subject=f"source:{source.pk}",
        detail={"count": len(rows), "first_id": rows[0].pk, "last_id": rows[-1].pk},
    )


def _key(row: Transaction, item: CheckedEvent) -> EventKey:
    return new_row(
        EventKey, transaction_id=row.pk, source_id=row.source_id, event_id=row.event_id,
        body_sha256=item.body_sha256,
    )  # fmt: skip


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
    first: dict[tuple[Any, ...], int] = {
        tuple(row[name] for name in _PAYMENT): row["first"]
        for row in same.values(*_PAYMENT).annotate(first=Min("id")).order_by()
    }
    for row in referenced:
        if (pk := first.setdefault(_payment(row), row.pk)) != row.pk:
            row.duplicate_of_id = pk


def _payment(row: Transaction) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _PAYMENT)


def _row(pk: int, source: Source, item: CheckedEvent, rate: Rate, at: datetime) -> Transaction:
    event = item.event
    pending = event.type in DECIDED_TYPES
    return new_row(
        Transaction,
        id=pk,
        source=source,
        amount_reporting_minor=to_reporting_minor(event.amount_minor, event.currency, rate),
        fx_rate=rate.value,
        fx_date=rate.since,
        three_ds=event.three_ds.model_dump(exclude_none=True) if event.three_ds else None,
        received_at=at,
        shard=shard_of(source.site_id, event.card_token),
        status=TransactionStatus.PENDING if pending else TransactionStatus.NOT_APPLICABLE,
        **{name: getattr(event, name) for name in _SAME},
        **{name: getattr(event, name) or "" for name in _OPTIONAL_TEXT},
    )
