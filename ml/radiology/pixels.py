"""Stored values to a picture: codecs, lookup tables, windows, polarity (PS3.3 C.7.6.3, C.11; PS3.4 N)."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import get_expected_length, pixel_array

from ml.radiology.codestream import frame_size, with_whole_scan
from ml.radiology.contracts import DicomRefused, FloatImage, InstanceHeader
from ml.radiology.field import outside_field
from ml.radiology.parsing import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Limits,
    Parsed,
    unsupported,
)

Array = npt.NDArray[Any]
NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
SATURATED = 0.98  # a window that leaves less than the rest in shades shows nothing


def frame_values(parsed: Parsed, header: InstanceHeader, limits: Limits, index: int = 0) -> Array:
    """Stored values of one frame, (rows, columns) or, as RGB, (rows, columns, 3). Raises DicomRefused."""
    return _without_overlay_bits(_decoded(parsed, header, limits, index), parsed.dataset)


def frame_bytes(parsed: Parsed, header: InstanceHeader, limits: Limits, index: int) -> bytes:
    """One frame in Explicit VR Little Endian, nothing of its values changed. Raises DicomRefused.

    Of colour only what the header calls RGB: a decoder gives no other as the header describes it.
    """
    if header.SamplesPerPixel > 1 and header.PhotometricInterpretation != "RGB":
        raise DicomRefused("unsupported_transfer_syntax", "Its colours are given only as they are stored.")
    stored = _decoded(parsed, header, limits, index)
    if stored.dtype.itemsize * 8 != header.BitsAllocated:
        raise DicomRefused("unsupported_transfer_syntax", "Its values do not fill whole bytes.")
    if header.SamplesPerPixel > 1 and parsed.dataset.get("PlanarConfiguration") == 1:
        stored = np.moveaxis(stored, 2, 0)
    return np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")).tobytes()


def _decoded(parsed: Parsed, header: InstanceHeader, limits: Limits, index: int) -> Array:
    dataset = parsed.dataset
    if not any(tag in dataset for tag in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise DicomRefused("truncated", "The file ends before its image does.")
    if parsed.transfer_syntax in NATIVE:
        _check_length(dataset)
    else:
        _check_codestream(dataset, header, index)
    try:
        stored = np.asarray(pixel_array(dataset, index=index))
    except NotImplementedError as error:
        raise unsupported(parsed.transfer_syntax) from error
    except Exception as error:
        raise DicomRefused(
            "undecodable", "The image cannot be decoded: it is damaged or of a rare kind."
        ) from error
    if stored.shape[:2] != (header.Rows, header.Columns) or stored.nbytes > 4 * limits.max_decoded_bytes:
        raise DicomRefused("undecodable", "The image has another size than its header says.")
    return stored


def pixel_sha256(stored: Array) -> str:
    """Of the shape and the values as little-endian int32 (float64 for float pixels), hex."""
    kind = "<f8" if stored.dtype.kind == "f" else "<i4" if stored.dtype.itemsize <= 2 else "<i8"
    digest = hashlib.sha256(f"{stored.shape}{kind}".encode())
    digest.update(np.ascontiguousarray(stored, kind).data)
    return digest.hexdigest()


def present(stored: Array, dataset: Any) -> FloatImage:
    """The picture as a monitor would show it: float32 (rows, columns) in 0..1, 0 black."""
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3:
        return _luminance(stored)
    padding = _padding(stored, dataset)
    values = _modality_values(stored, dataset)
    shown = _voi_lut(values, dataset)
    if shown is None:
        shown = _window(values, dataset)
    if shown is None:
        shown = _stretch(values, padding | outside_field(dataset, values.shape))
    shown = _polarity(shown, photometric)
    shown[padding] = 0
    return np.ascontiguousarray(shown, np.float32)


def _polarity(shown: FloatImage, photometric: str) -> FloatImage:
    """Once and last. PresentationLUTShape INVERSE says the same as MONOCHROME1 again, and is not asked."""
    return 1 - shown if photometric == "MONOCHROME1" else shown


def _check_length(dataset: Any) -> None:
    if "PixelData" in dataset and len(dataset.PixelData) < get_expected_length(dataset):
        raise DicomRefused("truncated", "The file ends before its image does.")


def _check_codestream(dataset: Any, header: InstanceHeader, index: int) -> None:
    try:
        frame = get_frame(dataset.PixelData, index, number_of_frames=header.NumberOfFrames)
    except Exception as error:
        raise DicomRefused("truncated", "The compressed image is incomplete.") from error
    size = frame_size(frame)
    if size is not None and size != (header.Rows, header.Columns):
        raise DicomRefused("undecodable", "The image has another size than its header says.")
    mended = with_whole_scan(frame)
    if mended is not frame and header.NumberOfFrames == 1:
        dataset.PixelData = encapsulate([mended])


def _without_overlay_bits(stored: Array, dataset: Any) -> Array:
    """Clear what retired overlays keep above BitsStored.

    Only where the header has such an overlay: other files whose values exceed BitsStored misstate it.
    """
    bits = int(dataset.get("BitsStored", 0) or 0)
    inside = any(
        element.tag.group & 0xFF01 == 0x6000 and element.tag.element == 0x0102 and int(element.value or 0) > 0
        for element in dataset.group_dataset(0x6000)
    )
    if not inside or stored.dtype.kind not in "iu" or not 0 < bits < stored.dtype.itemsize * 8:
        return stored
    spare = stored.dtype.itemsize * 8 - bits
    return np.right_shift(np.left_shift(stored, spare), spare)  # arithmetic for signed values


def _luminance(stored: Array) -> FloatImage:
    top = 1.0 if stored.dtype.kind == "f" else float(2 ** (8 * stored.dtype.itemsize) - 1)
    shown: FloatImage = np.clip(stored[..., :3].astype(np.float32) @ LUMINANCE / top, 0, 1, dtype=np.float32)
    return shown


def _padding(stored: Array, dataset: Any) -> npt.NDArray[np.bool_]:
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(stored.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    other = limit if isinstance(limit, int) else value
    padding = (stored >= min(value, other)) & (stored <= max(value, other))
    return padding if not padding.all() else np.zeros(stored.shape, bool)


def _modality_values(stored: Array, dataset: Any) -> Array:
    try:
        values = np.asarray(apply_modality_lut(stored, dataset))
    except Exception:
        return stored  # a broken table: the stored values still make a picture
    return values if np.isfinite(values).all() else stored


def _voi_lut(values: Array, dataset: Any) -> FloatImage | None:
    if not dataset.get("VOILUTSequence"):
        return None
    try:
        shown = np.asarray(apply_voi(np.rint(values).astype(np.int64), dataset), np.float32)
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    except Exception:
        return None
    return _unless_saturated(shown / max(float(2**bits - 1), float(shown.max()), 1.0))


def _window(values: Array, dataset: Any) -> FloatImage | None:
    """PS3.3 C.11.2.1.2; the first of several windows."""
    try:
        center, width = (_first(dataset[name].value) for name in ("WindowCenter", "WindowWidth"))
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    if not np.isfinite([center, width]).all() or width <= 0:
        return None
    x = values.astype(np.float32)
    function = str(dataset.get("VOILUTFunction", "") or "LINEAR")
    if function == "SIGMOID":
        return _unless_saturated(1 / (1 + np.exp(np.clip(-4 * (x - center) / width, -60, 60))))
    if function == "LINEAR_EXACT" or width <= 1:
        return _unless_saturated(np.clip((x - center) / width + 0.5, 0, 1))
    return _unless_saturated(np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1))


def _first(value: Any) -> float:
    return float(value if isinstance(value, str | int | float) else value[0])


def _unless_saturated(shown: Array) -> FloatImage | None:
    """None for a window or table that was meant for other values than these."""
    flat = np.mean((shown <= 0) | (shown >= 1))
    return None if (flat > SATURATED and np.unique(shown).size > 1) or np.ptp(shown) == 0 else shown


def _stretch(values: Array, left_out: npt.NDArray[np.bool_]) -> FloatImage:
    """From the 0.5th to the 99.5th percentile of what is film: padding and collimation say nothing of it."""
    x = values.astype(np.float32)
    x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(x if left_out.all() else x[~left_out], [0.5, 99.5])
    if high <= low:
        low, high = float(x.min()), float(x.max())
    if high <= low:
        return np.zeros(x.shape, np.float32)
    shown: FloatImage = np.clip((x - low) / (high - low), 0, 1, dtype=np.float32)
    return shown
