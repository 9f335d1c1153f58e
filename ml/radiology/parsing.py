"""Bytes to a pydicom dataset, within limits: no unbounded inflating, no silent truncation."""

from __future__ import annotations

import hashlib
import io
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom.config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from ml.radiology.contracts import DicomRefused

# pydicom's complaints quote the offending value, and that may be a name.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED_LENGTH = 0xFFFFFFFF
MAX_ELEMENTS = 50_000
# An empty item, eight bytes of file, becomes a dataset of a kilobyte: files are bounded in pieces too.
MAX_READS = 200_000
BLOCK = 1 << 20
# What of a deflated file is held to read its header, where its pixels are not wanted.
HEADER_BYTES_MAX = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost. One frame is decoded, so `max_decoded_bytes` is for one frame; a deflated
    file may inflate to `max_file_bytes`."""

    max_file_bytes: int = 256 * 1024**2
    max_pixels: int = 64_000_000
    max_frames: int = 2_000
    max_decoded_bytes: int = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class Parsed:
    """`pixels_at` is where in the file (inflated, if it is deflated) the value of the pixels begins;
    `pixels_length` its bytes, `UNDEFINED_LENGTH` where they are encapsulated."""

    dataset: Any
    transfer_syntax: str
    has_pixels: bool
    pixels_at: int = 0
    pixels_length: int = 0


def parse(path: Path, limits: Limits, *, with_pixels: bool) -> Parsed:
    """The dataset, up to the pixels or with them. Files without preamble are taken if they truly parse."""
    if path.stat().st_size > limits.max_file_bytes:
        raise DicomRefused("too_large", f"The file is larger than {limits.max_file_bytes // 1024**2} MiB.")
    with path.open("rb") as opened:
        file: BinaryIO = Metered(opened)  # type: ignore[assignment]
        transfer_syntax, bare = _read_meta(file)
        _check_readable(transfer_syntax)
        body, end = file, path.stat().st_size
        if transfer_syntax == DEFLATED:
            body, end = _inflate(file, limits, limits.max_file_bytes if with_pixels else HEADER_BYTES_MAX)
        reader = _Reader(body, end, with_pixels=with_pixels)
        dataset = reader.read(transfer_syntax)
    if bare and "SOPClassUID" not in dataset:
        raise DicomRefused("not_dicom", "This is not a DICOM file.")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    return Parsed(dataset, transfer_syntax, reader.met_pixels, reader.pixels_at, reader.pixels_length)


def content_hash(path: Path) -> str:
    """SHA-256 over the transfer syntax and everything after the file meta information."""
    with path.open("rb") as file:
        transfer_syntax, _ = _read_meta(file)
        return _rest_hash(file, transfer_syntax)


def pixel_bytes_hash(path: Path) -> str:
    """SHA-256 over the transfer syntax and all from the pixels on. A deflated file has no such place: there
    it is the hash of the whole content."""
    with path.open("rb") as file:
        transfer_syntax, _ = _read_meta(file)
        if transfer_syntax == DEFLATED:
            return content_hash(path)
        implicit, little = transfer_syntax == IMPLICIT_LITTLE, transfer_syntax != EXPLICIT_BIG
        read_dataset(file, implicit, little, stop_when=lambda tag, vr, length: int(tag) in PIXEL_TAGS)
        return _rest_hash(file, transfer_syntax)


def _rest_hash(file: BinaryIO, transfer_syntax: str) -> str:
    digest = hashlib.sha256(transfer_syntax.encode())
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _read_meta(file: BinaryIO) -> tuple[str, bool]:
    """The transfer syntax from the file meta information (PS3.10 7.1), and whether the preamble is missing.

    Leaves the file at the first element after them.
    """
    head = file.read(132)
    bare = head[128:132] != b"DICM"
    group = int.from_bytes(head[:2], "little")
    if bare and (len(head) < 16 or group not in (2, 8)):
        raise DicomRefused("not_dicom", "This is not a DICOM file.")
    file.seek(0 if bare else 132)
    syntax = ""
    if not bare or group == 2:
        found = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        syntax = str(found.get("TransferSyntaxUID", "") or "")
    return syntax or _guess(file), bare


def _guess(file: BinaryIO) -> str:
    """Explicit if the first element carries two letters where its value representation would be."""
    start = file.tell()
    head = file.read(8)
    file.seek(start)
    return EXPLICIT_LITTLE if head[4:6].isalpha() and head[4:6].isupper() else IMPLICIT_LITTLE


def _check_readable(transfer_syntax: str) -> None:
    try:
        readable = get_decoder(UID(transfer_syntax)).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        raise unsupported(transfer_syntax)


def unsupported(transfer_syntax: str) -> DicomRefused:
    """PS3.6's name of what the image is written in, or its bare UID where it has none."""
    return DicomRefused("unsupported_transfer_syntax", f"Cannot decode: {UID(transfer_syntax).name[:120]}.")


def _inflate(file: BinaryIO, limits: Limits, held: int) -> tuple[BinaryIO, int]:
    """The first `held` bytes and how many there are: all is inflated and checked, the rest thrown away."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content, size = io.BytesIO(), 0
    try:
        while not inflater.eof and (block := inflater.unconsumed_tail or file.read(BLOCK)):
            inflated = inflater.decompress(block, BLOCK)
            content.write(inflated[: max(0, held - size)])
            size += len(inflated)
            if size > limits.max_file_bytes:
                raise DicomRefused("bomb", "The file inflates to more than may be stored.")
    except zlib.error as error:
        raise DicomRefused("truncated", "The compressed content is damaged.") from error
    if not inflater.eof:
        raise DicomRefused("truncated", "The file ends before its content does.")
    content.seek(0)
    return Metered(content), size  # type: ignore[return-value]


class Metered:
    """A file that may be read in so many pieces and no more: parsing nested items stays bounded."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, MAX_READS
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DicomRefused("bad_header", "The header has too many elements.")
        return self._file.read(size)


class _Reader:
    """Reads one dataset and notices what pydicom passes over: an end in the middle of an element.

    `end` is where the content ends; `body` may hold less of it, where only a header is wanted.
    """

    def __init__(self, body: BinaryIO, end: int, *, with_pixels: bool) -> None:
        self.body, self.end, self.with_pixels = body, end, with_pixels
        start = body.tell()
        self.held = body.seek(0, io.SEEK_END)
        body.seek(start)
        self.met_pixels, self.elements, self.last = False, 0, 0
        self.pixels_at = self.pixels_length = 0

    def read(self, transfer_syntax: str) -> Dataset:
        implicit, little = transfer_syntax == IMPLICIT_LITTLE, transfer_syntax != EXPLICIT_BIG
        dataset = read_dataset(self.body, implicit, little, stop_when=self._watch)
        stopped = self.last in PIXEL_TAGS and not self.with_pixels
        if self.held < self.end and not stopped:
            raise DicomRefused("bad_header", "The header is larger than may be read.")
        if self.last and self.last not in dataset and not stopped:
            raise DicomRefused("truncated", "The file ends before its content does.")
        dataset.set_original_encoding(implicit, little)
        return dataset

    def _watch(self, tag: Any, vr: str | None, length: int) -> bool:
        """Called at each element of the top level, placed at its value; True stops the reading."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise DicomRefused("bad_header", "The header has too many elements.")
        self.last = int(tag)
        if length != UNDEFINED_LENGTH and self.body.tell() + length > self.end:
            raise DicomRefused("truncated", "The file ends before its content does.")
        if self.last in PIXEL_TAGS:
            self.met_pixels = length > 0
            self.pixels_at, self.pixels_length = self.body.tell(), length
            return not self.with_pixels
        return False
