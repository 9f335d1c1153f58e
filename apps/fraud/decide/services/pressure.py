"""Take no more than can be worked off and kept: say so early, and when to come back."""

from __future__ import annotations

import time

from django.conf import settings

from apps.core.errors import LynceusError
from apps.core.storage import refuse_when_storage_is_low
from apps.fraud.models import Transaction, TransactionStatus

LOOK_S = 1.0  # counting afresh for every request would cost more than it saves
RETRY_AFTER_S = 5
_seen = (float("-inf"), 0)


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


def _waiting() -> int:
    """How many wait, counted no further than one beyond the limit."""
    global _seen
    at, count = _seen
    if time.monotonic() - at >= LOOK_S:
        pending = Transaction.objects.filter(status=TransactionStatus.PENDING)
        count = pending.values("pk")[: settings.LYNCEUS_PENDING_MAX + 1].count()
        _seen = (time.monotonic(), count)
    return count
