"""Films on disk, under VAR/films, mode 0700, named by hash: no name says whose film it is."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from django.conf import settings

from apps.accounts.models import Site
from apps.core.errors import LynceusError
from apps.core.storage import storage_is_low, storage_low

log = structlog.get_logger(__name__)
RETRY_AFTER_S = 30
_flushers = ThreadPoolExecutor(16, "flush")
INSUFFICIENT_STORAGE = 507


def film_path(site: Site, file_sha256: str) -> Path:
    return _root() / str(site.pk) / file_sha256[:2] / f"{file_sha256}.dcm"


def picture_path(site: Site, file_sha256: str) -> Path:
    """The film as an 8-bit PNG, made when it was decoded."""
    return film_path(site, file_sha256).with_suffix(".png")


def thumbnail_path(site: Site, file_sha256: str) -> Path:
    """The picture made small, a JPEG, once somebody asked for it."""
    return film_path(site, file_sha256).with_suffix(".jpg")


def incoming_folder() -> Path:
    """Where files lie while they are received, on the same disk as the films."""
    return _private(_root() / "incoming")


def aside_path(site: Site, file_sha256: str) -> Path:
    """Where other pixels under a known UID lie: apart from the films."""
    return _root() / str(site.pk) / "aside" / f"{file_sha256}.dcm"


@contextmanager
def incoming() -> Iterator[Path]:
    """An empty private file to receive into; gone afterwards unless it was kept.

    Raises OSError ENOSPC while the storage is low: the database shares the disk, and must not want for room.
    """
    folder = incoming_folder()
    if storage_is_low():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    descriptor, name = tempfile.mkstemp(dir=folder)
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def clear_incoming(older_than_s: float) -> int:
    """Remove what a process that died while receiving left half written. Returns how many files."""
    removed = 0
    for path in incoming_folder().iterdir():
        with suppress(FileNotFoundError):  # its receiver was still at it, and is done now
            if path.stat().st_mtime < time.time() - older_than_s:
                path.unlink()
                removed += 1
    return removed


@contextmanager
def over_http() -> Iterator[None]:
    """A disk that fails (503), or is low or full (507), becomes an answer that says to try again."""
    try:
        yield
    except OSError as error:
        log.error("store_failed", error=type(error).__name__, errno=error.errno)
        if error.errno == errno.ENOSPC:
            raise storage_low(INSUFFICIENT_STORAGE) from error
        raise LynceusError(
            "storage_unavailable",
            "The film cannot be stored now: send it again later.",
            status=503,
            retryable=True,
            retry_after_s=RETRY_AFTER_S,
        ) from error


def flush(received: Path) -> None:
    """Wait until the content is on the disk."""
    with received.open("rb") as file:
        os.fsync(file.fileno())


def begin_flush(received: Path) -> Future[None]:
    """As `flush`, beside what the caller does meanwhile; `result()` waits and raises what it raised."""
    return _flushers.submit(flush, received)


def keep(received: Path, target: Path) -> None:
    """Move a flushed file to its place and wait until its name is on the disk too."""
    for folder in (target.parent.parent, target.parent):
        if not folder.is_dir():
            _private(folder)
            _flush_folder(folder.parent)
    received.replace(target)
    _flush_folder(target.parent)


def write_picture(site: Site, file_sha256: str, png: bytes) -> None:
    write_beside(film_path(site, file_sha256), png)


def write_beside(film: Path, picture: bytes, suffix: str = ".png") -> None:
    with incoming() as path:
        path.write_bytes(picture)
        flush(path)
        keep(path, film.with_suffix(suffix))


def share_picture(site: Site, one_sha256: str, other_sha256: str) -> None:
    """The picture of a file with the same pixels is the other's too; nothing where there is none yet."""
    picture = picture_path(site, one_sha256)
    if picture.is_file():
        write_picture(site, other_sha256, picture.read_bytes())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _root() -> Path:
    return _private(Path(settings.VAR_DIR) / "films")


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
