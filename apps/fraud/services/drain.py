"""Claim a shard's pending transactions and decide them until none is left."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet

from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud.models import LateState, ShardLock, Transaction, TransactionStatus
from apps.fraud.services.decide import AlreadyDecided, decide_transactions
from apps.fraud.services.late import apply_late

log = structlog.get_logger(__name__)
BATCH = 64
BATCHES_A_RING = 100
RETRY_S = 5
RETRY_MAX_S = 300


def drain_shard(shard: int) -> int:
    """Decide the shard's pending transactions in micro-batches; returns how many were decided.

    Returns at once when another worker holds the shard: that worker looks again after it lets go,
    so a transaction committed meanwhile is not left behind.
    """
    total = 0
    _apply_late(shard)
    for _ in range(BATCHES_A_RING):
        try:
            decided = _decide_next(shard, BATCH)
        except (OperationalError, InterfaceError):
            raise  # the database's trouble, not one transaction's: the sweeper rings again
        except AlreadyDecided:
            continue  # the synchronous door was faster with one of them
        except Exception:
            log.exception("batch_failed", shard=shard)
            decided = _decide_one_by_one(shard)
        if decided is None:
            return total
        total += decided
        if decided == 0 and not ready_rows(shard).exists():
            return total
    ring("fraud.decide_pending", shard)
    return total


def _apply_late(shard: int) -> None:
    while LateState.objects.filter(shard=shard).exists():
        with transaction.atomic():
            if not _hold(shard) or not apply_late(shard, BATCH):
                return


def ready_rows(shard: int) -> QuerySet[Transaction]:
    due = Q(retry_at=None) | Q(retry_at__lte=now())
    return Transaction.objects.filter(due, shard=shard, status=TransactionStatus.PENDING).order_by("id")


@transaction.atomic
def _decide_next(shard: int, limit: int, only: int | None = None) -> int | None:
    """Claim and decide in one transaction. None when another worker has the shard."""
    if not _hold(shard):
        return None
    rows = ready_rows(shard).select_related("source__site")
    if only is not None:
        rows = rows.filter(pk=only)
    return len(decide_transactions(list(rows[:limit])))


def _hold(shard: int) -> bool:
    lock = ShardLock.objects.select_for_update(skip_locked=True).filter(pk=shard)
    if lock.first() is not None:
        return True
    if ShardLock.objects.filter(pk=shard).exists():
        return False
    ShardLock.objects.bulk_create([ShardLock(number=shard)], ignore_conflicts=True)
    return lock.first() is not None


def _decide_one_by_one(shard: int) -> int | None:
    """After a batch failed: each alone, so that the one that cannot be decided delays only itself."""
    total = 0
    for pk in list(ready_rows(shard).values_list("pk", flat=True)[:BATCH]):
        try:
            decided = _decide_next(shard, 1, only=pk)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("transaction_not_decided", transaction=pk)
            _postpone(pk)
            continue
        if decided is None:
            return None
        total += decided
    return total


def _postpone(pk: int) -> None:
    attempts = Transaction.objects.values_list("attempts", flat=True).get(pk=pk)
    wait_s = min(RETRY_S * 2 ** min(attempts, 10), RETRY_MAX_S)
    Transaction.objects.filter(pk=pk, status=TransactionStatus.PENDING).update(
        attempts=F("attempts") + 1, retry_at=now() + timedelta(seconds=wait_s)
    )


def ring_overdue() -> int:
    """Ring again for every shard with a transaction that has waited. Returns the number of bells."""
    late = now() - timedelta(seconds=3)
    due = Q(retry_at=None) | Q(retry_at__lte=now())
    shards = (
        Transaction.objects.filter(due, status=TransactionStatus.PENDING, received_at__lt=late)
        .values_list("shard", flat=True)
        .distinct()
    )
    overdue = sorted({*shards, *LateState.objects.values_list("shard", flat=True).distinct()})
    for shard in overdue:
        ring("fraud.decide_pending", shard)
    return len(overdue)
