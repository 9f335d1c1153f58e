"""Take no more than can be worked off and kept: say so early, and when to come back."""

from __future__ import annotations

import shutil
import time

from django.conf import settings

from apps.core.errors import LynceusError
from apps.fraud.models import Transaction, TransactionStatus

LOOK_S = 1.0  # counting afresh for every request would cost more than it saves
RETRY_AFTER_S = 5
STORAGE_LOOK_S = 0.2
_seen = (float("-inf"), 0)
_free = (float("-inf"), 0)


def refuse_when_full() -> None:
    """LynceusError 429 while too many transactions wait for a decision, 503 while the disk is nearly full."""
    refuse_when_storage_is_low()
    if _waiting() > settings.LYNCEUS_PENDING_MAX:
        raise LynceusError(
            "too_many_pending",
            "Too many transactions wait for a decision. Send this later.",
            status=429,
            retryable=True,
            retry_after_s=RETRY_AFTER_S,
        )


def refuse_when_storage_is_low() -> None:
    if _free_bytes() < settings.LYNCEUS_DISK_MIN_MB * 1024 * 1024:
        raise LynceusError(
            "storage_low",
            "The storage is nearly full; nothing more is taken.",
            status=503,
            retryable=True,
            retry_after_s=RETRY_AFTER_S,
        )


def _free_bytes() -> int:
    global _free
    at, count = _free
    if time.monotonic() - at >= STORAGE_LOOK_S:
        count = shutil.disk_usage(settings.VAR_DIR).free
        _free = (time.monotonic(), count)
    return count


def _waiting() -> int:
    """How many wait, counted no further than one beyond the limit."""
    global _seen
    at, count = _seen
    if time.monotonic() - at >= LOOK_S:
        pending = Transaction.objects.filter(status=TransactionStatus.PENDING)
        count = pending.values("pk")[: settings.LYNCEUS_PENDING_MAX + 1].count()
        _seen = (time.monotonic(), count)
    return count
