"""Frames as they are stored, none of them decoded (PS3.3 C.7.6.3, PS3.5 A.4). Every file is hostile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.encaps import get_frame

from ml.radiology.codestream import with_whole_scan
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import guarded, header_of
from ml.radiology.parsing import (
    BLOCK,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UNDEFINED_LENGTH,
    Limits,
    Metered,
    parse,
)
from ml.radiology.pixels import NATIVE


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Where a file holds its pixels. `at` and `length` are the place of their value in the file, bytes."""

    path: Path
    transfer_syntax: str
    frames: int
    frame_bits: int
    at: int
    length: int

    @property
    def syntax_given(self) -> str:
        """The transfer syntax frames are given in unless another is asked for: native ones always in
        Explicit VR Little Endian (PS3.18 8.7.3.5)."""
        return EXPLICIT_LITTLE if self.transfer_syntax in NATIVE else self.transfer_syntax

    @property
    def as_they_lie(self) -> bool:
        """Whether the file's own bytes are frames in `syntax_given`: implicit or explicit makes no
        difference to them, their order and deflation do."""
        return self.transfer_syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE) or not self.native

    @property
    def native(self) -> bool:
        return self.transfer_syntax in NATIVE


def stored_pixels(path: Path, limits: Limits) -> StoredPixels:
    """Raises DicomRefused, OSError."""
    return guarded(lambda: _stored_pixels(path, limits))


def stored_frame(pixels: StoredPixels, index: int) -> Iterator[bytes]:
    """The frame in `syntax_given`, in blocks; only where they lie `as_they_lie`. `index` counts from 0.

    Raises DicomRefused, OSError: before the first block.
    """
    return guarded(lambda: _native(pixels, index) if pixels.native else iter([_encapsulated(pixels, index)]))


def stored_value(pixels: StoredPixels) -> Iterator[bytes]:
    """All native frames, one after the other, in blocks."""
    return _blocks(pixels.path.open("rb"), pixels.at, pixels.length)


def _stored_pixels(path: Path, limits: Limits) -> StoredPixels:
    parsed = parse(path, limits, with_pixels=False)
    header = header_of(parsed, limits)
    bits = header.Rows * header.Columns * header.SamplesPerPixel * header.BitsAllocated
    if header.PhotometricInterpretation == "YBR_FULL_422":  # two pixels share their colour
        bits = bits // 3 * 2
    return StoredPixels(
        path, parsed.transfer_syntax, header.NumberOfFrames, bits, parsed.pixels_at, parsed.pixels_length
    )


def _native(pixels: StoredPixels, index: int) -> Iterator[bytes]:
    if pixels.length == UNDEFINED_LENGTH or (pixels.frame_bits % 8 and pixels.frames > 1):
        raise DicomRefused("undecodable", "The frames do not lie at whole bytes.")
    size = (pixels.frame_bits + 7) // 8
    if (index + 1) * size > pixels.length:
        raise DicomRefused("truncated", "The file ends before its image does.")
    return _blocks(pixels.path.open("rb"), pixels.at + index * size, size)


def _blocks(file: BinaryIO, at: int, size: int) -> Iterator[bytes]:
    with file:
        file.seek(at)
        while size > 0 and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            yield block


def _encapsulated(pixels: StoredPixels, index: int) -> bytes:
    with pixels.path.open("rb") as opened:
        file = Metered(opened)
        file.seek(pixels.at)
        frame = get_frame(file, index, number_of_frames=pixels.frames)
    return with_whole_scan(frame)
