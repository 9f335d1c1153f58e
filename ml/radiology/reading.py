"""Films out of a folder or a tar, one at a time, within limits; nothing is ever unpacked by its own name."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ml.radiology.contracts import DecodedImage, DicomRefused
from ml.radiology.dicom import decode, identify
from ml.radiology.parsing import Limits
from ml.radiology.pixels import pixel_sha256

MAX_MEMBERS = 2_000_000
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I")


def check_name(name: str) -> str:
    """A relative path that stays inside. Raises ValueError."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ValueError(f"The file name {name[:80]!r} leads out of the folder of images.")
    return str(path)


@dataclass(slots=True)
class _Names:
    """Finds what a table calls a file: by its whole path, else by its last part where that is unique."""

    known: set[str]
    by_last: dict[str, str | None]

    @classmethod
    def of(cls, names: Iterable[str]) -> _Names:
        known, by_last = set(), dict[str, str | None]()
        for name in names:
            known.add(name)
            last = PurePosixPath(name).name
            by_last[last] = None if last in by_last else name
            if len(known) > MAX_MEMBERS:
                raise ValueError(f"More than {MAX_MEMBERS:,} files: split the set.")
        return cls(known, by_last)

    def find(self, wanted: str) -> str | None:
        return wanted if wanted in self.known else self.by_last.get(PurePosixPath(wanted).name)


def read_films(
    images: Path, wanted: list[str], limits: Limits, rejected: frozenset[str] = frozenset()
) -> Iterator[tuple[int, DecodedImage | DicomRefused]]:
    """(position in `wanted`, film or why not) for each; in the archive's own order where it is a tar.
    A DICOM file whose SOPInstanceUID is among `rejected` is refused as rejected.

    Raises ValueError for a name that leads outside, or a path that is neither folder nor tar.
    """
    for name in wanted:
        check_name(name)
    if images.is_dir():
        yield from _from_folder(images, wanted, limits, rejected)
    elif images.is_file() and tarfile.is_tarfile(images):
        yield from _from_tar(images, wanted, limits, rejected)
    else:
        raise ValueError(f"{images.name} is neither a folder nor a tar of images.")


def read_film(path: Path, limits: Limits) -> DecodedImage:
    """A DICOM, PNG or JPEG file, whatever it is called. Raises DicomRefused."""
    if path.stat().st_size > limits.max_file_bytes:
        raise DicomRefused("too_large", f"The file is larger than {limits.max_file_bytes // 1024**2} MiB.")
    return _picture(path, limits) if is_picture(path) else decode(path, limits)


def is_picture(path: Path) -> bool:
    """Whether it begins as a PNG or JPEG does."""
    with path.open("rb") as file:
        return file.read(8).startswith((b"\x89PNG\r\n", b"\xff\xd8\xff"))


def _picture(path: Path, limits: Limits) -> DecodedImage:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > limits.max_pixels:
                raise DicomRefused("too_large", f"The image has more than {limits.max_pixels} pixels.")
            deep = image.mode in SIXTEEN_BIT
            stored = np.asarray(image if deep else image.convert("L"))
    except DicomRefused:
        raise
    except Exception as error:  # whatever a hostile file makes Pillow raise
        raise DicomRefused("undecodable", "The image is damaged and cannot be read.") from error
    top = 65535 if deep else 255
    pixels = np.clip(stored.astype(np.float32) / top, 0, 1)
    return DecodedImage(np.asarray(pixels, np.float32), pixel_sha256(stored))


def _attempt(path: Path | None, limits: Limits, rejected: frozenset[str]) -> DecodedImage | DicomRefused:
    if path is None:
        return DicomRefused("missing", "There is no such file among the images.")
    if rejected and identify(path, limits)[1] in rejected:
        return DicomRefused("rejected", "A rejection note took this image out of use.")
    try:
        return read_film(path, limits)
    except DicomRefused as error:
        return error


def _from_folder(
    root: Path, wanted: list[str], limits: Limits, rejected: frozenset[str]
) -> Iterator[tuple[int, DecodedImage | DicomRefused]]:
    inside = root.resolve()
    files = (
        (Path(folder) / name).relative_to(root).as_posix()
        for folder, _, names in os.walk(root)
        for name in names
    )
    names = _Names.of(files)
    for position, name in enumerate(wanted):
        found = names.find(check_name(name))
        if found is None:
            yield position, _attempt(None, limits, rejected)
            continue
        path = (root / found).resolve()
        if not path.is_relative_to(inside):
            raise ValueError(f"{found!r} is a link that leads out of the folder of images.")
        yield position, _attempt(path if path.is_file() else None, limits, rejected)


def _from_tar(
    archive: Path, wanted: list[str], limits: Limits, rejected: frozenset[str]
) -> Iterator[tuple[int, DecodedImage | DicomRefused]]:
    with tarfile.open(archive) as tar:
        members = {check_name(member.name): member for member in tar if member.isreg()}
        names = _Names.of(members)
        found = [(names.find(check_name(name)), position) for position, name in enumerate(wanted)]
        for _, position in ((n, p) for n, p in found if n is None):
            yield position, _attempt(None, limits, rejected)
        # A compressed tar can only be read forwards.
        there = [(members[name], position) for name, position in found if name is not None]
        for member, position in sorted(there, key=lambda pair: pair[0].offset):
            if member.size > limits.max_file_bytes:
                yield position, DicomRefused("too_large", "The file is larger than may be read.")
                continue
            with unpacked(tar, member) as path:
                yield position, _attempt(path, limits, rejected)


@contextmanager
def unpacked(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[Path]:
    """The member's content in a private file under a name of our own."""
    content = tar.extractfile(member)
    with tempfile.NamedTemporaryFile() as file:
        while content is not None and (block := content.read(1 << 20)):
            file.write(block)
        file.flush()
        yield Path(file.name)
