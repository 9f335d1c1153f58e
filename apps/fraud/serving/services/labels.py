"""Labels in, and from there into the running states of cards and terminals, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import (
    DECIDED_TYPES,
    EventKey,
    FraudLabel,
    HeardLater,
    LateState,
    Notice,
    NoticeKind,
    Source,
    Transaction,
    TransactionStatus,
    UnheardLabel,
)
from apps.fraud.serving import inference
from apps.fraud.serving.services.states import heard, lock_states, readable, store_states
from apps.fraud.wire.reason_codes import meaning_of
from apps.fraud.wire.schemas import LabelIn
from apps.fraud.wire.validation import error_row
from ml.fraud.memory import keys_of_label


@dataclass(frozen=True, slots=True)
class LabelReceipt:
    accepted: int
    duplicates: int


@transaction.atomic
def store_labels(*, source: Source, labels: Sequence[LabelIn], actor: Actor) -> LabelReceipt:
    """All labels or none; the same one again is a duplicate. LynceusError 422 names unknown events.

    What by its code says neither fraud nor legitimate is kept beside them, as a notice.
    """
    ids = {label.event_id for label in labels}
    keys = EventKey.objects.filter(source=source, event_id__in=ids).select_related("transaction")
    rows = {key.event_id: key.transaction for key in keys}
    errors = [
        error_row(index, label.event_id, "event_id", "unknown_event")
        for index, label in enumerate(labels)
        if label.event_id not in rows
    ]
    if errors:
        raise LynceusError(
            "invalid_labels",
            "A label names an event this source never sent; nothing was stored.",
            status=422,
            extra={"errors": errors},
        )
    before = set(said_of(list(rows.values())))
    fresh: dict[tuple[int, str, bool, str], FraudLabel] = {}
    notices = []
    for label in labels:
        meant = meaning_of(label)
        if isinstance(meant, NoticeKind):
            notices.append((label, meant))
            continue
        row = _row(rows[label.event_id], label, meant)
        fresh.setdefault((row.transaction_id, row.source, row.fraud, row.raw_code), row)
    new = [row for key, row in fresh.items() if key not in before]
    known = {(pk, fraud) for pk, _, fraud, _ in before}
    keep_labels(source.site, new, known=known, actor=actor, subject=f"source:{source.pk}")
    told = _keep_notices(source, [(rows[label.event_id], label, kind) for label, kind in notices], actor)
    return LabelReceipt(len(new) + told, len(labels) - len(new) - told)


def said_of(rows: Sequence[Transaction]) -> list[tuple[int, str, bool, str]]:
    """What is known of these transactions. Locked, so that two senders of one label wait for each other."""
    pks = sorted(row.pk for row in rows)
    list(Transaction.objects.select_for_update(of=("self",)).filter(pk__in=pks).order_by("pk"))
    said = FraudLabel.objects.filter(transaction__in=pks)
    return list(said.values_list("transaction_id", "source", "fraud", "raw_code"))


def _row(row: Transaction, label: LabelIn, type_: str) -> FraudLabel:
    at = now()
    return FraudLabel(
        transaction=row, fraud=label.fraud, source=label.source, type=type_,
        scheme=label.scheme or "", raw_code=label.raw_code or "",
        known_at=label.known_at or at, received_at=at,
    )  # fmt: skip


def _keep_notices(
    source: Source, told: Sequence[tuple[Transaction, LabelIn, NoticeKind]], actor: Actor
) -> int:
    """Write down what is no label; returns how much of it is new."""
    at, kept = now(), 0
    for row, label, kind in told:
        _, new = Notice.objects.get_or_create(
            transaction=row, source=label.source, kind=kind, raw_code=label.raw_code or "",
            defaults={
                "scheme": label.scheme or "", "known_at": label.known_at or at, "received_at": at,
            },
        )  # fmt: skip
        kept += new
    if kept:
        record(
            "notices.received", site=source.site, actor=actor, subject=f"source:{source.pk}",
            detail={"count": kept},
        )  # fmt: skip
    return kept


def keep_labels(
    site: Site, rows: Sequence[FraudLabel], *, known: set[tuple[int, bool]], actor: Actor, subject: str
) -> None:
    """Write them down and let the shards' workers know. The states hear each verdict once a transaction;
    `known`: those they heard."""
    if not rows:
        return
    kept = FraudLabel.objects.bulk_create(rows)
    unheard: dict[tuple[int, bool], UnheardLabel] = {}
    for row in kept:
        verdict = (row.transaction_id, row.fraud)
        if verdict not in known and row.transaction.type in DECIDED_TYPES:
            unheard.setdefault(verdict, UnheardLabel(label=row, shard=row.transaction.shard))
    UnheardLabel.objects.bulk_create(unheard.values())
    record(
        "labels.received", site=site, actor=actor, subject=subject,
        detail={"count": len(kept), "fraud": sum(row.fraud for row in kept)},
    )  # fmt: skip
    for shard in sorted({one.shard for one in unheard.values()}):
        ring("fraud.decide_pending", shard)


def ready_labels() -> QuerySet[UnheardLabel]:
    """Those whose payment the states know of: it is decided, and heard of if it will be."""
    return UnheardLabel.objects.filter(
        ~Exists(LateState.objects.filter(transaction=OuterRef("label__transaction"))),
        label__transaction__status=TransactionStatus.DECIDED,
    )


def hear_labels(shard: int, limit: int) -> int:
    """Tell the states up to `limit` labels, in the order they were received, in the caller's transaction.

    Others wait: the states must know of a payment before its label.
    """
    unheard = ready_labels().filter(shard=shard).select_related("label__transaction__source")
    rows = [one.label for one in unheard.order_by("pk")[:limit]]
    by_site = sorted(rows, key=lambda row: (row.transaction.source.site_id, row.pk))
    for site_id, group in groupby(by_site, key=lambda row: row.transaction.source.site_id):
        _tell(site_id, list(group))
    UnheardLabel.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _tell(site_id: int, rows: list[FraudLabel]) -> None:
    states = lock_states(site_id, chain.from_iterable(keys_of_label(row.transaction) for row in rows))
    store_states(site_id, states, inference.learn(rows, readable(states)).states)
    heard(HeardLater(label=row) for row in rows)
