"""A header as DICOM JSON, and frames as they lie, out of files that mean no good."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from ml.radiology import dicomjson, parsing
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicomjson import bulk_value, header_json
from ml.radiology.frames import stored_frame, stored_pixels
from ml.radiology.parsing import Limits
from tests.radiology.conftest import as_file, film

LIMITS = Limits()


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(data: Dataset | None = None, *, extra: bytes = b"", **attributes: Any) -> Path:
        """`extra` are raw elements, put before the pixels."""
        content = as_file(film(**attributes) if data is None else data)
        at = content.index(b"\xe0\x7f\x10\x00")
        path = tmp_path / "film.dcm"
        path.write_bytes(content[:at] + extra + content[at:])
        return path

    return write


def said(path: Path) -> dict[str, Any]:
    found = header_json(path, LIMITS, lambda place: f"at {place}")
    assert orjson.loads(orjson.dumps(found)) == found
    return found


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """In Explicit VR Little Endian, with a length of four bytes."""
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value


def test_it_works(written) -> None:
    found = said(written(WindowCenter="40", PatientName="Doe^Jane"))
    assert found["00281050"] == {"vr": "DS", "Value": [40.0]}
    assert found["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": "at 7FE00010"}


def test_one_element_that_does_not_fit_is_left_out_alone(written) -> None:
    bad = [
        element(0x70010010, b"UC", b"MADE UP "),
        element(0x70011001, b"OB", b"abcd"),
        struct.pack("<HH2sH", 0x7003, 0x0010, b"IS", 4) + b"abc ",
        struct.pack("<HH2sH", 0x7005, 0x0010, b"FD", 8) + struct.pack("<d", float("nan")),
        struct.pack("<HH2sH", 0x7007, 0x0010, b"US", 3) + b"abc",
    ]
    found = said(written(extra=b"".join(bad)))
    assert found["70011001"] == {"vr": "OB", "InlineBinary": "YWJjZA=="}
    assert "70030010" not in found
    assert found["70050010"]["Value"] == [None]
    assert found["00080018"]["Value"]


def test_long_values_stay_in_the_file(written) -> None:
    long, text = b"ab" * 1000, b"x" * 70_000
    extra = element(0x70011001, b"OB", long) + element(0x70011002, b"UT", text)
    path = written(extra=extra)
    found = said(path)
    assert found["70011001"] == {"vr": "OB", "BulkDataURI": "at 70011001"}
    assert found["70011002"] == {"vr": "UT", "BulkDataURI": "at 70011002"}
    assert bulk_value(path, LIMITS, "70011001") == long
    assert bulk_value(path, LIMITS, "70011002") == text
    for nowhere in ("70011003", "70011001/0/00080018", "00080018/5/00080018"):
        assert bulk_value(path, LIMITS, nowhere) is None


def test_big_endian_words_are_turned_round(tmp_path) -> None:
    data = film()
    data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data.add_new(0x00281201, "OW", np.arange(4, dtype=">u2").tobytes())
    path = tmp_path / "big.dcm"
    path.write_bytes(as_file(data))
    found = said(path)
    assert found["00281201"] == {"vr": "OW", "BulkDataURI": "at 00281201"}
    assert bulk_value(path, LIMITS, "00281201") == np.arange(4, dtype="<u2").tobytes()


def empty_items(count: int) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, 0) * count


def test_a_sequence_of_many_empty_items_is_not_read(written, monkeypatch) -> None:
    """Eight bytes of file become a kilobyte of memory, and pydicom reads these beyond the meter."""
    few, many = empty_items(10), empty_items(dicomjson.SEQUENCE_MAX // 8 + 1)
    found = said(written(extra=element(0x00540016, b"SQ", few)))
    assert found["00540016"]["Value"] == [{}] * 10
    found = said(written(extra=element(0x00540016, b"SQ", many)))
    assert found["00540016"] == {"vr": "SQ"}
    monkeypatch.setattr(dicomjson, "SEQUENCE_MAX", len(many))
    assert len(said(written(extra=element(0x00540016, b"SQ", many)))["00540016"]["Value"]) > 60_000


def test_all_values_together_are_bounded(written, monkeypatch) -> None:
    monkeypatch.setattr(dicomjson, "TOTAL_MAX", 50_000)
    extra = b"".join(element(0x70011001 + n, b"UT", b"y" * 10_000) for n in range(10))
    found = said(written(extra=extra))
    kept = [tag for tag in found if tag.startswith("7001") and "Value" in found[tag]]
    named = [tag for tag in found if tag.startswith("7001") and "BulkDataURI" in found[tag]]
    assert (len(kept), len(named)) == (4, 6)


def test_sequences_in_sequences_end(written) -> None:
    inner = b""
    for _ in range(40):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        inner = element(0x00540016, b"SQ", item)
    found, depth = said(written(extra=inner)), 0
    while found.get("00540016", {}).get("Value"):
        [found], depth = found["00540016"]["Value"], depth + 1
    assert depth == dicomjson.DEPTH_MAX


def test_implicit_files_say_the_same(written) -> None:
    explicit = said(written())
    data = film()
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    for tag in (0x00080018, 0x0020000D, 0x0020000E):
        data[tag].value = explicit[f"{tag:08X}"]["Value"][0]
    assert said(written(data)) == explicit


# Frames


def test_frames_beyond_what_the_file_holds_are_refused(written) -> None:
    path = written(NumberOfFrames=3)
    pixels = stored_pixels(path, LIMITS)
    assert len(b"".join(stored_frame(pixels, 0))) == 96 * 80 * 2
    with pytest.raises(DicomRefused) as refused:
        stored_frame(pixels, 1)
    assert refused.value.code == "truncated"


def test_an_encapsulated_file_in_more_pieces_than_are_read_is_refused(written, monkeypatch) -> None:
    data = film()
    data.compress(RLELossless, generate_instance_uid=False)
    data.NumberOfFrames = 2
    fragment = struct.pack("<HHL", 0xFFFE, 0xE000, 2) + b"ab"
    data.PixelData = struct.pack("<HHL", 0xFFFE, 0xE000, 0) + fragment * 5000
    path = written(data)
    monkeypatch.setattr(parsing, "MAX_READS", 2000)
    pixels = stored_pixels(path, LIMITS)
    with pytest.raises(DicomRefused) as refused:
        stored_frame(pixels, 0)
    assert refused.value.code == "bad_header"


@pytest.mark.parametrize("table", [b"\xff" * 8, struct.pack("<HHL", 0xFFFE, 0xE000, 3) + b"abc", b""])
def test_a_broken_offset_table_is_refused(written, table) -> None:
    data = film()
    data.compress(RLELossless, generate_instance_uid=False)
    path = written(data)
    content = path.read_bytes()
    at = content.index(data.PixelData)
    path.write_bytes(content[:at] + table + content[at + 8 :])
    with pytest.raises(DicomRefused):
        list(stored_frame(stored_pixels(path, LIMITS), 0))
