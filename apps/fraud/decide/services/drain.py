"""Claim shards' pending transactions and decide them, oldest first, until none is left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet, Value

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud.decide.services.decide import decide_transactions
from apps.fraud.decide.services.look import AlreadyDecided
from apps.fraud.decide.services.rescore import apply_late
from apps.fraud.models import (
    SHARDS,
    LateState,
    ShardLock,
    Source,
    Transaction,
    TransactionStatus,
)
from apps.fraud.serving.services.labels import hear_labels, ready_labels
from apps.fraud.serving.services.reversals import match_waiting, ready, take_back

log = structlog.get_logger(__name__)
BATCH = 128  # twice as many spare a tenth of the CPU; more would hold the states a deadline waits for
# The database's trouble, or the task's time limit: no transaction is to blame.
NOT_THE_BATCH = (OperationalError, InterfaceError, SoftTimeLimitExceeded)
RING_S = 20.0  # well within the task's time limit: what is left is rung for again
CATCH_UP_S = 1.0  # of it: after an hour without the model, new transactions need not wait for the old ones
ATTEMPTS_MAX = 3
RETRY_S = 5


def drain_shard(shard: int) -> int:
    """Answer a shard's bell: decide what is pending in micro-batches; returns how many were decided.

    Oldest first over all shards that nobody else holds, and not this shard alone: which bell is heard
    first, or twice, then changes nothing. Returns at once when other workers hold what there is: they
    look again after they let go, so a transaction committed meanwhile is not left behind.
    """
    total, until = 0, time.monotonic() + RING_S
    done = _catch_up(time.monotonic() + min(CATCH_UP_S, RING_S))
    while time.monotonic() < until:
        try:
            decided = _decide_next()
        except NOT_THE_BATCH:
            raise  # the sweeper rings again
        except AlreadyDecided:
            continue  # the synchronous door was faster with one of them
        except Exception:
            log.exception("batch_failed", shard=shard)
            decided = _bisect(list(ready_rows().values_list("pk", flat=True)[:BATCH]))
        if decided is None:
            break
        total += decided
        if decided == 0 and not ready_rows().exists():
            break
    else:
        done = False
    if not done:
        ring("fraud.decide_pending", shard)
    return total


def _catch_up(until: float) -> bool:
    """Let the states hear first of what was decided without them, then of what became known or was taken
    back; returns whether that was all."""
    tell = (apply_late, hear_labels, take_back)
    for order, shard in sorted(_unheard()):
        more = True
        while more:
            if time.monotonic() >= until:
                return False
            with transaction.atomic():
                more = bool(_hold([shard])) and tell[order](shard, BATCH) == BATCH
    return True


def _unheard() -> set[tuple[int, int]]:
    """What the states have not heard of yet, as (place in `tell`, shard).

    Shards whose late ones wait for the model are left out by name: there may be very many of those.
    """
    asleep = ShardLock.objects.filter(late_retry_at__gt=now()).values_list("pk", flat=True)
    awake = LateState.objects.filter(shard__in=set(range(SHARDS)).difference(asleep))
    waiting: tuple[QuerySet[Any], ...] = (awake, ready_labels(), ready())
    late, *others = (rows.values_list(Value(order), "shard") for order, rows in enumerate(waiting))
    return set(late.union(*others))


def ready_rows() -> QuerySet[Transaction]:
    due = Q(retry_at=None) | Q(retry_at__lte=now())
    return Transaction.objects.filter(due, status=TransactionStatus.PENDING).order_by("id")


@transaction.atomic
def _decide_next(only: Sequence[int] | None = None) -> int | None:
    """Claim and decide in one transaction. None when other workers have the shards."""
    rows = _claim(ready_rows() if only is None else ready_rows().filter(pk__in=only))
    return None if rows is None else len(decide_transactions(rows))


def _claim(ready: QuerySet[Transaction]) -> list[Transaction] | None:
    """The oldest of `ready`, of this worker's share of shards; None where others hold all of them."""
    share = -(-SHARDS // settings.LYNCEUS_REALTIME_WORKERS)
    busy: list[int] = []
    while True:
        free = ready.exclude(shard__in=busy)
        shards = list(dict.fromkeys(free.values_list("shard", flat=True)[:BATCH]))[:share]
        if not shards:
            return None if busy else []
        if held := _hold(shards):
            return with_sources(free.filter(shard__in=held)[:BATCH])
        busy += shards


def with_sources(found: QuerySet[Transaction]) -> list[Transaction]:
    """The rows with their sources and sites, of which there are few: each is read once."""
    rows = list(found)
    sources = Source.objects.select_related("site").in_bulk({row.source_id for row in rows})
    for row in rows:
        row.source = sources[row.source_id]
    return rows


def _hold(shards: Sequence[int]) -> list[int]:
    """Those of the shards that no other worker has, ours until the transaction ends."""
    lock = ShardLock.objects.select_for_update(skip_locked=True).filter(pk__in=shards)
    held = [row.pk for row in lock]
    if len(held) == len(shards):
        return held
    known = set(ShardLock.objects.filter(pk__in=shards).values_list("pk", flat=True))
    if not (unknown := sorted(set(shards) - known)):
        return held
    ShardLock.objects.bulk_create([ShardLock(number=shard) for shard in unknown], ignore_conflicts=True)
    return [row.pk for row in lock.all()]


def _bisect(pks: Sequence[int]) -> int | None:
    """After a batch failed: its halves, and theirs, until what cannot be decided stands alone.

    One bad transaction in 64 costs a dozen tries and not 64; the others are decided at once.
    """
    total = 0
    middle = (len(pks) + 1) // 2
    for half in filter(None, (pks[:middle], pks[middle:])):
        try:
            decided = _decide_next(only=half)
        except NOT_THE_BATCH:
            raise
        except AlreadyDecided:
            continue
        except Exception:
            if len(half) > 1:
                decided = _bisect(half)
            else:
                log.exception("transaction_not_decided", transaction=half[0])
                _postpone(half[0])
                continue
        if decided is None:
            return None
        total += decided
    return total


@transaction.atomic
def _postpone(pk: int) -> None:
    """Try again later, twice; then park it, for a person to look at."""
    pending = Transaction.objects.filter(pk=pk, status=TransactionStatus.PENDING)
    row = pending.select_related("source__site").select_for_update(of=("self",)).first()
    if row is None:
        return
    row.attempts += 1
    if row.attempts >= ATTEMPTS_MAX:
        row.status, row.retry_at = TransactionStatus.PARKED, None
        record("transaction.parked", site=row.source.site, actor=None, subject=f"transaction:{pk}")
        log.error("transaction_parked", transaction=pk)
    else:
        row.retry_at = now() + timedelta(seconds=RETRY_S * 2 ** (row.attempts - 1))
    row.save(update_fields=["attempts", "status", "retry_at"])


def requeue_parked() -> int:
    """Give every parked transaction its attempts again; returns how many."""
    with transaction.atomic():
        parked = Transaction.objects.filter(status=TransactionStatus.PARKED)
        shards = sorted(set(parked.values_list("shard", flat=True)))
        count = parked.update(status=TransactionStatus.PENDING, attempts=0, retry_at=None)
        if count:
            record("transactions.requeued", site=None, actor=None, detail={"count": count})
        for shard in shards:
            ring("fraud.decide_pending", shard)
    return count


def ring_overdue() -> int:
    """Ring again for every shard with a transaction that has waited. Returns the number of bells."""
    late = now() - timedelta(seconds=3)
    due = Q(retry_at=None) | Q(retry_at__lte=now())
    shards = (
        Transaction.objects.filter(due, status=TransactionStatus.PENDING, received_at__lt=late)
        .values_list("shard", flat=True)
        .distinct()
    )
    match_waiting()
    overdue = sorted({*shards, *(shard for _, shard in _unheard())})
    for shard in overdue:
        ring("fraud.decide_pending", shard)
    return len(overdue)
