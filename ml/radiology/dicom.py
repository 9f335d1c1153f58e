"""DICOM files in: what the header says, and pixels ready to look at. Every file is treated as hostile.

Whatever is wrong with a file, `read_header` and `decode` raise DicomRefused. Its codes: not_dicom, truncated,
bad_header, no_pixels, too_large, bomb, unsupported_transfer_syntax, undecodable. A disk that fails is no
fault of the file: its OSError is let through.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from ml.radiology.contracts import DecodedImage, DicomRefused, FloatImage, InstanceHeader, RequestHeader
from ml.radiology.gate import gate
from ml.radiology.parsing import Limits, Parsed, content_hash, items_of, parse, pixel_bytes_hash
from ml.radiology.pixels import frame_bytes, frame_values, pixel_sha256, present

__all__ = [
    "RESULT_MANUFACTURER", "SYNTHETIC_MANUFACTURER", "Limits", "content_sha256", "decode", "decode_frame",
    "explicit_frame", "gate", "identify", "pixel_bytes_sha256", "read_header",
]  # fmt: skip

SYNTHETIC_MANUFACTURER = "Lynceus synthetic"
RESULT_MANUFACTURER = "Lynceus"
# What hostile content makes the system say: a seek to nowhere, a file that may not be written, no memory.
OF_THE_FILE = (None, errno.EINVAL, errno.EOVERFLOW, errno.EFBIG, errno.ENOMEM)
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_TEXTS = (
    "Modality", "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "PatientAge", "AccessionNumber", "StudyDate", "StudyTime", "StudyDescription", "SeriesDescription",
    "TimezoneOffsetFromUTC", "BodyPartExamined", "ViewPosition", "PresentationIntentType",
    "PhotometricInterpretation", "Manufacturer",
)  # fmt: skip
_Answer = TypeVar("_Answer")
_UIDS = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
_NAMES = ("PatientName", "ReferringPhysicianName")


def content_sha256(path: Path) -> str:
    """Hash of the data set and its transfer syntax, the same whoever wrote the file meta information."""
    return guarded(lambda: content_hash(path))


def pixel_bytes_sha256(path: Path) -> str:
    """Hash of the pixels as they are stored, of all frames, with their transfer syntax."""
    return guarded(lambda: pixel_bytes_hash(path))


def read_header(path: Path, limits: Limits | None = None) -> InstanceHeader:
    """The header of a file with pixels, without reading them. Raises DicomRefused, OSError."""
    limits = limits or Limits()
    return guarded(lambda: header_of(parse(path, limits, with_pixels=False), limits))


def identify(path: Path, limits: Limits | None = None) -> tuple[str, str]:
    """SOPClassUID and SOPInstanceUID of a refused file, empty where they cannot be read. Never raises."""
    try:
        dataset = parse(path, limits or Limits(), with_pixels=False).dataset
        found = (text_of(dataset, "SOPClassUID"), text_of(dataset, "SOPInstanceUID"))
    except Exception:  # it was refused: anything may be wrong with it
        return "", ""
    return tuple(uid if is_uid(uid) else "" for uid in found)  # type: ignore[return-value]


def decode(path: Path, limits: Limits | None = None) -> DecodedImage:
    """The first frame, ready to display: float32 (rows, columns) in 0..1, 0 shown black. Raises DicomRefused.

    Modality LUT or rescale, then VOI LUT, window or percentiles, then polarity (PS3.4 annex N); colour
    becomes luminance. `pixel_sha256` is of the stored values, the same whatever lossless codec held them.
    Raises OSError too.
    """
    limits = limits or Limits()
    return guarded(lambda: _decode(path, limits))


def decode_frame(path: Path, index: int, limits: Limits) -> FloatImage:
    """Any frame as `decode` shows the first; `index` counts from 0. Raises DicomRefused, OSError."""

    def work() -> FloatImage:
        parsed = parse(path, limits, with_pixels=True)
        return present(frame_values(parsed, header_of(parsed, limits), limits, index), parsed.dataset)

    return guarded(work)


def explicit_frame(path: Path, index: int, limits: Limits) -> bytes:
    """A frame's stored values in Explicit VR Little Endian; `index` counts from 0. Raises DicomRefused,
    OSError."""

    def work() -> bytes:
        parsed = parse(path, limits, with_pixels=True)
        return frame_bytes(parsed, header_of(parsed, limits), limits, index)

    return guarded(work)


def guarded(work: Callable[[], _Answer]) -> _Answer:
    """Parsers of hostile bytes raise anything: a person gets one sentence, with nothing of the file in it."""
    try:
        return work()
    except DicomRefused:
        raise
    except MemoryError:
        raise DicomRefused("too_large", "The image needs more memory than may be used.") from None
    except Exception as error:
        # Pillow's own OSErrors have no number.
        if isinstance(error, OSError) and error.errno not in OF_THE_FILE:
            raise
        raise DicomRefused("bad_header", "The file is damaged and cannot be read.") from error


def _decode(path: Path, limits: Limits) -> DecodedImage:
    parsed = parse(path, limits, with_pixels=True)
    header = header_of(parsed, limits)
    stored = frame_values(parsed, header, limits)
    return DecodedImage(present(stored, parsed.dataset), pixel_sha256(stored))


def header_of(parsed: Parsed, limits: Limits) -> InstanceHeader:
    """Of a file with pixels. Raises DicomRefused; call it `guarded`."""
    dataset = parsed.dataset
    uids = {keyword: text_of(dataset, keyword) for keyword in _UIDS}
    for keyword, uid in uids.items():
        if not is_uid(uid):
            raise DicomRefused("bad_header", f"The header has no valid {keyword}.")
    if not parsed.has_pixels:
        raise DicomRefused("no_pixels", "The file holds no image.")
    texts = {keyword: text_of(dataset, keyword) for keyword in _TEXTS}
    # A DX image may name its view by a code alone (PS3.3 C.8.11.5).
    texts["ViewPosition"] = texts["ViewPosition"] or _meaning(dataset, "ViewCodeSequence")
    header = InstanceHeader(
        **uids,
        **texts,
        TransferSyntaxUID=parsed.transfer_syntax,
        Rows=_count(dataset, "Rows"),
        Columns=_count(dataset, "Columns"),
        NumberOfFrames=_count(dataset, "NumberOfFrames", 1),
        SamplesPerPixel=_count(dataset, "SamplesPerPixel", 1),
        BitsAllocated=_count(dataset, "BitsAllocated", 32),
        ImageType=tuple(text_of(dataset, "ImageType").split("\\")),
        synthetic=texts["Manufacturer"] == SYNTHETIC_MANUFACTURER,
        is_result=_is_result(dataset),
        has_pixels=True,
        request=_request_of(dataset),
    )
    _check_size(header, limits)
    return header


def _is_result(dataset: Any) -> bool:
    """Whether Lynceus made it, here or elsewhere: its maker, or one who contributed (PS3.3 C.12.1)."""
    contributors = items_of(dataset, "ContributingEquipmentSequence")
    makers = (text_of(one, "Manufacturer").casefold() for one in (dataset, *contributors))
    return RESULT_MANUFACTURER.casefold() in makers


def _request_of(dataset: Any) -> RequestHeader:
    said = [dataset, *items_of(dataset, "RequestAttributesSequence")[:1]]
    names = [one.name for one in fields(RequestHeader)]
    return RequestHeader(
        **{name: next(filter(None, (text_of(one, name) for one in said)), "") for name in names}
    )


def is_uid(text: str) -> bool:
    return len(text) <= 64 and UID.fullmatch(text) is not None


def _check_size(header: InstanceHeader, limits: Limits) -> None:
    pixels = header.Rows * header.Columns
    frame_bytes = pixels * header.SamplesPerPixel * header.BitsAllocated // 8
    if pixels > limits.max_pixels or frame_bytes > limits.max_decoded_bytes:
        raise DicomRefused("too_large", f"The image has more than {limits.max_pixels} pixels.")
    if header.NumberOfFrames > limits.max_frames:
        raise DicomRefused("too_large", f"The file has more than {limits.max_frames} frames.")


def text_of(dataset: Any, keyword: str) -> str:
    """An attribute as text, at most 256 characters; empty where it is absent or cannot be read."""
    try:
        value = dataset.get(keyword)
        if value is None:
            return ""
        several = not isinstance(value, str) and hasattr(value, "__iter__") and keyword not in _NAMES
        text = "\\".join(str(part) for part in value) if several else str(value)
    except Exception:
        # An unknown character set or a broken value representation: one attribute, not the whole file.
        return ""
    # A wrong character set leaves halves of surrogate pairs, which no database takes.
    return text.replace("\0", "").encode(errors="replace").decode().strip()[:256]


def _meaning(dataset: Any, keyword: str) -> str:
    """The CodeMeaning of a sequence's first code; empty where there is none."""
    return next((text_of(item, "CodeMeaning") for item in items_of(dataset, keyword)), "")


def _count(dataset: Any, keyword: str, default: int = 0) -> int:
    text = text_of(dataset, keyword)
    if not text and default:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 2**31:
        raise DicomRefused("bad_header", f"{keyword} is not a positive whole number.")
    return int(text)
