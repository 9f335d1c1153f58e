"""What takes a payment back: matched with the payment, and taken off the amounts it was added to, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import chain, groupby

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud.common.money import Rate, to_reporting_minor
from apps.fraud.common.services.rates import business_day, rates_of
from apps.fraud.models import (
    TAKES_BACK,
    HeardLater,
    LateState,
    Mode,
    Reversal,
    Transaction,
    TransactionStatus,
)
from apps.fraud.serving import inference
from apps.fraud.serving.services.states import heard, lock_states, readable, store_states
from ml.fraud.memory import keys_of

LOOKED_FOR = timedelta(days=30)  # a payment that comes later is too old to count
_ORIGINALS = Transaction.objects.filter(card_token=OuterRef("transaction__card_token")).exclude(
    type__in=TAKES_BACK
)
_BY_ID = _ORIGINALS.filter(
    event_key__source_id=OuterRef("transaction__source_id"),
    event_key__event_id=OuterRef("transaction__original_event_id"),
)
# Networks use references again: only about the same time, and the first of those that were sent twice.
_BY_REFERENCE = (
    _ORIGINALS.filter(
        source_id=OuterRef("transaction__source_id"),
        network_reference=OuterRef("transaction__network_reference"),
        received_at__gte=OuterRef("transaction__received_at") - LOOKED_FOR,
    )
    .exclude(network_reference="")
    .order_by("pk")
)


def reversals_of(rows: Sequence[Transaction]) -> list[Reversal]:
    """To be stored with these transactions. One sent again under a new id takes nothing back again."""
    return [
        Reversal(transaction=row, shard=row.shard)
        for row in rows
        if row.type in TAKES_BACK and row.duplicate_of_id is None
    ]


def match_stored(rows: Sequence[Transaction]) -> None:
    """Find what these take back, where that is known already, once they are stored."""
    if back := [row for row in rows if row.type in TAKES_BACK]:
        _match(Reversal.objects.filter(pk__in=[row.pk for row in back]))
        for shard in sorted({row.shard for row in back}):
            ring("fraud.decide_pending", shard)


def match_waiting() -> None:
    """The same of those that came before what they take back."""
    _match(Reversal.objects.filter(transaction__received_at__gte=now() - LOOKED_FOR))


def _match(among: QuerySet[Reversal]) -> None:
    """By the id a reversal names, else by the network's reference; always of the same source and card."""
    named = ~Q(transaction__original_event_id="") | ~Q(transaction__network_reference="")
    found = among.filter(named, original=None).annotate(
        found=Coalesce(Subquery(_BY_ID.values("pk")[:1]), Subquery(_BY_REFERENCE.values("pk")[:1]))
    )
    rows = list(found.exclude(found=None))
    for row in rows:
        row.original_id = row.found
    Reversal.objects.bulk_update(rows, ["original"])


def ready() -> QuerySet[Reversal]:
    """Those the states have not heard of though their payment is decided, and heard of if it will be."""
    return Reversal.objects.filter(
        ~Exists(LateState.objects.filter(transaction=OuterRef("original"))),
        taken_minor=None, original__status=TransactionStatus.DECIDED,
    )  # fmt: skip


def take_back(shard: int, limit: int) -> int:
    """Take up to `limit` off what they were added to, in the caller's transaction; returns how many."""
    rows = list(
        ready()
        .filter(shard=shard)
        .select_related("transaction__source", "original__decision")
        .order_by("pk")[:limit]
    )
    by_site = sorted(rows, key=lambda row: (row.transaction.source.site_id, row.pk))
    for site_id, group in groupby(by_site, key=lambda row: row.transaction.source.site_id):
        _take_off(site_id, list(group))
    return len(rows)


def _take_off(site_id: int, rows: list[Reversal]) -> None:
    states = lock_states(site_id, chain.from_iterable(keys_of(_paid(row)) for row in rows))
    left = _left([_paid(row) for row in rows])
    for row in rows:
        paid = _paid(row)
        row.taken_minor = min(_worth(row.transaction, paid), left[paid.pk])
        left[paid.pk] -= row.taken_minor
    felt = [row for row in rows if row.taken_minor]
    store_states(site_id, states, inference.take_back(felt, readable(states)).states)
    Reversal.objects.bulk_update(rows, ["taken_minor"])
    heard(HeardLater(reversal=row) for row in felt)


def _paid(row: Reversal) -> Transaction:
    if row.original is None:
        raise ValueError("its payment is not known")
    return row.original


def _left(payments: Sequence[Transaction]) -> dict[int, int]:
    """Of each payment what it added and nothing took back yet; nothing where the states never heard of it."""
    keys = {paid.pk for paid in payments}
    later = set(HeardLater.objects.filter(transaction__in=keys).values_list("transaction_id", flat=True))
    before = Reversal.objects.filter(original__in=keys, taken_minor__gt=0)
    taken = dict(before.values_list("original").annotate(Sum("taken_minor")).order_by())
    return {
        paid.pk: paid.amount_reporting_minor - taken.get(paid.pk, 0)
        if paid.decision.mode == Mode.FULL or paid.pk in later
        else 0
        for paid in payments
    }


def _worth(back: Transaction, paid: Transaction) -> int:
    """In the reporting currency at the rate of the payment, for that is what was added."""
    rate = Rate(paid.fx_rate)
    if back.currency != paid.currency:
        wanted = back.currency, business_day(paid.occurred_at)
        rate = rates_of([wanted])[wanted]
    return to_reporting_minor(back.amount_minor, back.currency, rate)
