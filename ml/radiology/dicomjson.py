"""A header as DICOM JSON (PS3.18 annex F); long values stay in the file and are named by address.

Sequences of defined length are read by pydicom only here, beyond the meter of `parsing`: they and all values
together are bounded in bytes, and what goes beyond is named by address too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.tag import BaseTag

from ml.radiology.dicom import guarded
from ml.radiology.parsing import EXPLICIT_BIG, Limits, parse

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
INLINE_MAX = 1024
VALUE_MAX = 64 * 1024
SEQUENCE_MAX = 512 * 1024
TOTAL_MAX = 4 * 1024**2
DEPTH_MAX = 8
CHARACTER_SET = "00080005"
PIXELS = "7FE00010"
Json = dict[str, Any]


def header_json(path: Path, limits: Limits, address: Callable[[str], str]) -> Json:
    """{"GGGGEEEE": {"vr", "Value" | "InlineBinary" | "BulkDataURI"}}, without file meta information.

    `address` makes a BulkDataURI of a place: `GGGGEEEE`, inside sequences `GGGGEEEE/item/GGGGEEEE`, items
    from 0. An element that cannot be read is left out. Raises DicomRefused, OSError.
    """
    return guarded(lambda: _header_json(path, limits, address))


def bulk_value(path: Path, limits: Limits, place: str) -> bytes | None:
    """The value at a place as it lies in the file, in little endian; None where there is none.

    Raises DicomRefused, OSError.
    """
    return guarded(lambda: _bulk_value(path, limits, place.upper().split("/")))


def _header_json(path: Path, limits: Limits, address: Callable[[str], str]) -> Json:
    parsed = parse(path, limits, with_pixels=False)
    found = _Walk(address, swapped=parsed.transfer_syntax == EXPLICIT_BIG).dataset(parsed.dataset)
    if CHARACTER_SET in found:
        found[CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    if parsed.has_pixels:
        found[PIXELS] = {"vr": "OW", "BulkDataURI": address(PIXELS)}
    return found


class _Walk:
    def __init__(self, address: Callable[[str], str], *, swapped: bool) -> None:
        self.address, self.left = address, TOTAL_MAX
        self.inline_max = 0 if swapped else INLINE_MAX

    def dataset(self, dataset: Dataset, above: str = "", depth: int = 0) -> Json:
        found = {}
        for tag in sorted(dataset.keys()):
            said = self.element(dataset, tag, f"{above}{tag:08X}", depth) if tag.element else None
            if said is not None:  # group lengths say nothing in JSON
                found[f"{tag:08X}"] = said
        return found

    def element(self, dataset: Dataset, tag: BaseTag, place: str, depth: int) -> Json | None:
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement):
            vr, size = _vr(raw), len(raw.value or b"")
            if size > min(self.longest(vr), self.left):
                return {"vr": vr} if vr == "SQ" else {"vr": vr, "BulkDataURI": self.address(place)}
            self.left -= size
        try:
            return self.converted(dataset, tag, place, depth)
        except RecursionError:
            raise
        except Exception:  # one element that its VR or character set does not fit, not the whole file
            return None

    def longest(self, vr: str) -> int:
        return SEQUENCE_MAX if vr == "SQ" else self.inline_max if vr in BINARY else VALUE_MAX

    def converted(self, dataset: Dataset, tag: BaseTag, place: str, depth: int) -> Json | None:
        element: Any = dataset[tag]
        if element.VR == "SQ":
            if depth == DEPTH_MAX:
                return None
            items = [
                self.dataset(item, f"{place}/{n}/", depth + 1) for n, item in enumerate(element.value or [])
            ]
            return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        if " or " in element.VR:
            element = correct_ambiguous_vr_element(element, dataset, True)
        # Half surrogate pairs, which no JSON holds, are found out here, one element at a time; what is no
        # number becomes null.
        said: Json = orjson.loads(orjson.dumps(element.to_json_dict(None, 0)))
        return said


def _vr(raw: RawDataElement) -> str:
    if raw.VR:
        return str(raw.VR)
    try:
        return dictionary_VR(raw.tag).split(" or ")[-1]
    except KeyError:
        return "UN"


def _bulk_value(path: Path, limits: Limits, steps: list[str]) -> bytes | None:
    parsed = parse(path, limits, with_pixels=False)
    dataset = parsed.dataset
    for tag, item in zip(steps[:-1:2], steps[1::2], strict=True):
        raw = dataset.get_item(int(tag, 16))
        if isinstance(raw, RawDataElement) and len(raw.value or b"") > SEQUENCE_MAX:
            return None
        element = dataset.get(int(tag, 16))
        if element is None or element.VR != "SQ" or int(item) >= len(element.value):
            return None
        dataset = element.value[int(item)]
    raw = dataset.get_item(int(steps[-1], 16))
    if not isinstance(raw, RawDataElement) or not raw.value or _vr(raw) == "SQ":
        return None
    size = WORD_BYTES.get(_vr(raw), 1) if parsed.transfer_syntax == EXPLICIT_BIG else 1
    return _reversed(raw.value, size) if size > 1 else raw.value


def _reversed(value: bytes, size: int) -> bytes:
    words = [value[at : at + size][::-1] for at in range(0, len(value) - len(value) % size, size)]
    return b"".join(words)
