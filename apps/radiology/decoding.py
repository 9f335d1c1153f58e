"""One isolated decoder per process, started at the first film."""

from __future__ import annotations

import threading
from pathlib import Path

from django.conf import settings

from apps.radiology.limits import file_limits
from ml.radiology.isolation import Decoded, IsolatedDecoder

_decoder: IsolatedDecoder | None = None
_lock = threading.Lock()


def decode_apart(path: Path) -> Decoded:
    """Pixels and picture, decoded in a child of limited memory and time.

    Raises DicomRefused for what the file holds, OSError where it is not there or the disk fails.
    """
    path.stat()
    return _shared().decode(path)


def _shared() -> IsolatedDecoder:
    global _decoder
    with _lock:
        if _decoder is None:
            _decoder = IsolatedDecoder(
                file_limits(),
                memory_bytes=settings.LYNCEUS_DECODE_MEMORY_MB * 1024**2,
                timeout_s=settings.LYNCEUS_DECODE_TIMEOUT_S,
            )
        return _decoder


def forget_decoder() -> None:
    """End the child; the next film starts another, with the settings of then."""
    global _decoder
    with _lock:
        if _decoder is not None:
            _decoder.close()
        _decoder = None
