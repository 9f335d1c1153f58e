"""One isolated decoder per process, started at the first film."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.core.errors import LynceusError
from apps.radiology.limits import file_limits
from ml.radiology.isolation import Decoded, IsolatedDecoder

# Requests that may stand before the decoder at once: the rest of a web process's threads answer the others.
TURNS = 4
_decoder: IsolatedDecoder | None = None
_lock = threading.Lock()
_turns = threading.BoundedSemaphore(TURNS)


def decode_apart(path: Path) -> Decoded:
    """Pixels and picture, decoded in a child of limited memory and time.

    Raises DicomRefused for what the file holds, OSError where it is not there or the disk fails.
    """
    path.stat()
    return _shared().decode(path)


# What requests ask for while they wait. All raise DicomRefused and OSError as above, and LynceusError 503
# where too many wait.


def frame_apart(path: Path, index: int) -> bytes:
    """The stored values of one frame in Explicit VR Little Endian; `index` counts from 0."""
    with _turn():
        return _shared().frame(path, index)


def picture_apart(path: Path, index: int, *, kind: str, side: int) -> bytes:
    """One frame as an 8-bit greyscale "PNG" or "JPEG" of at most `side` pixels a side."""
    with _turn():
        return _shared().picture(path, index, kind=kind, side=side)


def redraw_apart(picture: Path, *, kind: str, side: int) -> bytes:
    """A film's picture in another format or smaller: what the child made is not opened outside it either."""
    with _turn():
        return _shared().redraw(picture, kind=kind, side=side)


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(blocking=False):
        raise LynceusError(
            "decoder_busy", "Too many films wait to be decoded.", status=503, retryable=True, retry_after_s=1
        )
    try:
        yield
    finally:
        _turns.release()


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
