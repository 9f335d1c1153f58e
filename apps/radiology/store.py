"""Films on disk, under VAR/films, mode 0700, named by hash: no name says whose film it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.accounts.models import Site


def film_path(site: Site, file_sha256: str) -> Path:
    return _root() / str(site.pk) / file_sha256[:2] / f"{file_sha256}.dcm"


def picture_path(site: Site, file_sha256: str) -> Path:
    """The film as an 8-bit PNG, made when it was decoded."""
    return film_path(site, file_sha256).with_suffix(".png")


@contextmanager
def incoming() -> Iterator[Path]:
    """An empty private file to receive into; gone afterwards unless it was kept."""
    folder = _private(_root() / "incoming")
    descriptor, name = tempfile.mkstemp(dir=folder)
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def keep(received: Path, target: Path) -> None:
    """Move a received file to its place and wait until it is on the disk, name and all."""
    _private(target.parent)
    with received.open("rb") as file:
        os.fsync(file.fileno())
    received.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_picture(site: Site, file_sha256: str, png: bytes) -> None:
    with incoming() as path:
        path.write_bytes(png)
        keep(path, picture_path(site, file_sha256))


def _root() -> Path:
    return _private(Path(settings.VAR_DIR) / "films")


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
