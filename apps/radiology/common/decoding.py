"""Isolated decoders, some to a process, each started at its first film."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.core.errors import LynceusError
from apps.radiology.common.limits import file_limits
from ml.radiology.isolation import Decoded, IsolatedDecoder, Reduced

# Requests that may stand before the decoders at once: the rest of a web process's threads answer the others.
TURNS = 4
_turns = threading.BoundedSemaphore(TURNS)
_lock = threading.Lock()
_all: list[IsolatedDecoder] = []
# The one used last comes first: a process that decodes little has one child.
_idle: queue.LifoQueue[IsolatedDecoder] = queue.LifoQueue()


def decode_apart(path: Path) -> Decoded:
    """Pixels and picture, decoded in a child of limited memory and time.

    Raises DicomRefused for what the file holds, OSError where it is not there or the disk fails.
    """
    path.stat()
    with _one() as decoder:
        return decoder.decode(path)


def reduce_apart(path: Path) -> Reduced:
    """As `decode_apart`, with the pixels as small as a network needs them."""
    path.stat()
    with _one() as decoder:
        return decoder.reduce(path)


# What requests ask for while they wait. All raise DicomRefused and OSError as above, and LynceusError 503
# where too many wait.


def frame_apart(path: Path, index: int) -> bytes:
    """The stored values of one frame in Explicit VR Little Endian; `index` counts from 0."""
    with _turn(), _one() as decoder:
        return decoder.frame(path, index)


def picture_apart(path: Path, index: int, *, kind: str, side: int) -> bytes:
    """One frame as an 8-bit greyscale "PNG" or "JPEG" of at most `side` pixels a side."""
    with _turn(), _one() as decoder:
        return decoder.picture(path, index, kind=kind, side=side)


def redraw_apart(picture: Path, *, kind: str, side: int) -> bytes:
    """A film's picture in another format or smaller: what the child made is not opened outside it either."""
    with _turn(), _one() as decoder:
        return decoder.redraw(picture, kind=kind, side=side)


def start_decoders() -> None:
    """Start every child now, so that the first films need not wait for them."""
    for decoder in _made():
        decoder.start()


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


@contextmanager
def _one() -> Iterator[IsolatedDecoder]:
    _made()
    decoder = _idle.get()
    try:
        yield decoder
    finally:
        _idle.put(decoder)


def _made() -> list[IsolatedDecoder]:
    with _lock:
        if not _all:
            for _ in range(settings.LYNCEUS_DECODERS):
                decoder = IsolatedDecoder(
                    file_limits(),
                    memory_bytes=settings.LYNCEUS_DECODE_MEMORY_MB * 1024**2,
                    timeout_s=settings.LYNCEUS_DECODE_TIMEOUT_S,
                )
                _all.append(decoder)
                _idle.put(decoder)
        return list(_all)


def forget_decoders() -> None:
    """End the children; the next film starts another, with the settings of then."""
    with _lock:
        for decoder in _all:
            decoder.close()
        _all.clear()
        while not _idle.empty():
            _idle.get_nowait()
