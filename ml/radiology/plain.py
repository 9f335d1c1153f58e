"""A DICOM file written anew in a plain transfer syntax, as every receiver takes one (PS3.5 10.1).

Nothing of its values changes: pixels are unpacked, and what was compressed with loss says so from then on by
its LossyImageCompression, since its transfer syntax no longer does. Every file is hostile.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import guarded, header_of
from ml.radiology.parsing import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Limits, parse, unsupported

PLAIN = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
Frame = Callable[[int], bytes]
# Transfer syntaxes that may lose something, and LossyImageCompressionMethod for each (PS3.3 C.7.6.1.1.5).
LOSSY = {
    f"1.2.840.10008.1.2.4.{last}": method
    for last, method in {
        "50": "ISO_10918_1", "51": "ISO_10918_1", "81": "ISO_14495_1", "91": "ISO_15444_1",
        "93": "ISO_15444_2", "203": "ISO_15444_15",
    }.items()
}  # fmt: skip
_ALWAYS_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")  # of the others a header may know better
_OFFSETS = (0x7FE00001, 0x7FE00002)  # of frames that are no longer where they were
_BITS_MAX = 16  # 32 may be float pixels, which stand elsewhere in a file


def write_plain(path: Path, into: Path, syntax: str, frame: Frame, limits: Limits) -> None:
    """Write the file at `path` into `into` in `syntax`, one of `PLAIN`. `frame` gives the stored values of
    one frame, counted from 0, as `ml.radiology.dicom.explicit_frame` does. Raises DicomRefused, also for
    colour that is not RGB and for big-endian files, and OSError."""
    guarded(lambda: _write(path, into, syntax, frame, limits))


def _write(path: Path, into: Path, syntax: str, frame: Frame, limits: Limits) -> None:
    parsed = parse(path, limits, with_pixels=False)
    if parsed.transfer_syntax == EXPLICIT_BIG:  # its tables would have to be turned round too
        raise unsupported(EXPLICIT_BIG)
    dataset = parsed.dataset
    header = header_of(parsed, limits) if parsed.has_pixels else None
    if header is not None:
        _mark_loss(dataset, parsed.transfer_syntax)
        for tag in _OFFSETS:
            if tag in dataset:
                del dataset[tag]
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dcmwrite(into, dataset, enforce_file_format=True, overwrite=True)
    if header is not None:
        with into.open("ab") as file:
            for block in _pixel_data(header, syntax, frame, limits):
                file.write(block)


def _mark_loss(dataset: Any, transfer_syntax: str) -> None:
    kept_all = dataset.get("LossyImageCompression") == "00" and transfer_syntax not in _ALWAYS_LOSSY
    if transfer_syntax in LOSSY and not kept_all:
        dataset.LossyImageCompression = "01"
        if not dataset.get("LossyImageCompressionMethod"):
            dataset.LossyImageCompressionMethod = LOSSY[transfer_syntax]


def _pixel_data(header: InstanceHeader, syntax: str, frame: Frame, limits: Limits) -> Iterator[bytes]:
    """The element PixelData, the last of the file: its frames one after the other."""
    size = header.Rows * header.Columns * header.SamplesPerPixel * header.BitsAllocated // 8
    length = size * header.NumberOfFrames
    if header.BitsAllocated > _BITS_MAX or length > limits.max_decoded_bytes:
        raise DicomRefused("too_large", "Its pixels are too many, or too deep, to be unpacked.")
    vr = b"OW" if header.BitsAllocated > 8 else b"OB"
    named = struct.pack("<2s2x", vr) if syntax == EXPLICIT_LITTLE else b""
    yield struct.pack("<HH", 0x7FE0, 0x0010) + named + struct.pack("<I", length + length % 2)
    for index in range(header.NumberOfFrames):
        values = frame(index)
        if len(values) != size:
            raise DicomRefused("undecodable", "The image has another size than its header says.")
        yield values
    yield b"\0" * (length % 2)
