"""Every file of a folder or tar in an order that stays, each at a path of its own while it is looked at."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml.radiology.contracts import DicomRefused
from ml.radiology.parsing import Limits
from ml.radiology.reading import MAX_MEMBERS, check_name, unpacked


@dataclass(frozen=True, slots=True)
class FilmFiles:
    """`at(name)` gives the path for as long as its block lasts; it raises DicomRefused for what is too large
    or leads outside. Read in order: a compressed tar can only be read forwards."""

    names: list[str]
    at: Callable[[str], AbstractContextManager[Path]]


@contextmanager
def opened(images: Path, limits: Limits) -> Iterator[FilmFiles]:
    """Raises ValueError for a path that is neither folder nor tar, a name that leads outside, or too many."""
    if images.is_dir():
        yield _folder(images, limits)
    elif images.is_file() and tarfile.is_tarfile(images):
        with tarfile.open(images) as tar:
            yield _tar(tar, limits)
    else:
        raise ValueError(f"{images.name} is neither a folder nor a tar of images.")


def _folder(root: Path, limits: Limits) -> FilmFiles:
    inside = root.resolve()

    @contextmanager
    def at(name: str) -> Iterator[Path]:
        path = (root / name).resolve()
        if not path.is_relative_to(inside) or not path.is_file():
            raise DicomRefused("missing", "It is a link that leads out of the folder, or no file.")
        _check_size(path.stat().st_size, limits)
        yield path

    names = [
        (Path(folder) / name).relative_to(root).as_posix()
        for folder, _, names in os.walk(root)
        for name in names
    ]
    return FilmFiles(sorted(_few(names)), at)


def _tar(tar: tarfile.TarFile, limits: Limits) -> FilmFiles:
    members = {check_name(member.name): member for member in tar if member.isreg()}

    @contextmanager
    def at(name: str) -> Iterator[Path]:
        _check_size(members[name].size, limits)
        with unpacked(tar, members[name]) as path:
            yield path

    return FilmFiles(_few(list(members)), at)


def _few(names: list[str]) -> list[str]:
    if len(names) > MAX_MEMBERS:
        raise ValueError(f"More than {MAX_MEMBERS:,} files: split the set.")
    return names


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_file_bytes:
        raise DicomRefused("too_large", "The file is larger than may be read.")
