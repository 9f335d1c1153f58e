"""How much room there is where VAR is: below a set amount nothing more is taken in."""

from __future__ import annotations

import shutil
import time

from django.conf import settings

from apps.core.errors import LynceusError

LOOK_S = 0.2
RETRY_AFTER_S = 5
MIB = 1024 * 1024
_free = (float("-inf"), 0)


def storage_is_low(share: float = 1.0) -> bool:
    """Whether less is free than `share` of what has to be."""
    return _free_bytes() < share * settings.LYNCEUS_DISK_MIN_MB * MIB


def refuse_when_storage_is_low() -> None:
    if storage_is_low():
        raise storage_low(503)


def storage_low(status: int) -> LynceusError:
    return LynceusError(
        "storage_low",
        "The storage is nearly full; nothing more is taken.",
        status=status,
        retryable=True,
        retry_after_s=RETRY_AFTER_S,
    )


def room_left() -> str:
    """For /status. Raises RuntimeError where it is too little."""
    free = f"{_free_bytes() // MIB:,} MiB free"
    if storage_is_low():
        raise RuntimeError(f"{free}: nothing more is taken below {settings.LYNCEUS_DISK_MIN_MB:,}")
    return free


def _free_bytes() -> int:
    global _free
    at, count = _free
    if time.monotonic() - at >= LOOK_S:
        count = shutil.disk_usage(settings.VAR_DIR).free
        _free = (time.monotonic(), count)
    return count
