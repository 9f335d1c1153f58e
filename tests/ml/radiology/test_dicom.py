"""Every file gives an image with the right polarity, or a stated reason; never another error."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from ml.radiology import parsing
from ml.radiology.codestream import with_whole_scan
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import Limits, decode, read_header

DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def film(tmp_path: Path):
    """A ramp, dark on the left as displayed, written to a DICOM file."""

    def write(*, inverted: bool = False, rle: bool = False, **attributes: object) -> Path:
        ramp = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (48, 1))
        stored = 4095 - ramp if inverted else ramp
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = DIGITAL_X_RAY, generate_uid()
        data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
        data.file_meta.MediaStorageSOPClassUID = DIGITAL_X_RAY
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
        data.Rows, data.Columns = stored.shape
        data.SamplesPerPixel, data.PixelRepresentation = 1, 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
        data.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
        data.PixelData = stored.tobytes()
        if rle:
            data.compress(RLELossless)
        for name, value in attributes.items():
            setattr(data, name, value)
        path = tmp_path / f"{data.SOPInstanceUID}.dcm"
        data.save_as(path, enforce_file_format=True)
        return path

    return write


def code_of(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(DicomRefused) as caught:
        read_header(path, limits or Limits())
        decode(path, limits or Limits())
    return caught.value.code


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("rle", [False, True])
def test_polarity_and_range_come_out_right(film, inverted: bool, rle: bool) -> None:
    path = film(inverted=inverted, rle=rle)
    header = read_header(path, Limits())
    assert (header.Modality, header.Rows, header.Columns) == ("DX", 48, 64)
    pixels = decode(path, Limits()).pixels
    assert pixels.dtype == np.float32
    assert pixels.shape == (48, 64)
    assert pixels[:, 0].max() < 0.1 < 0.9 < pixels[:, -1].min()


def test_what_is_not_a_film_is_refused_with_a_reason(film, tmp_path) -> None:
    (tmp_path / "note.dcm").write_bytes(b"not a film at all" * 50)
    assert code_of(tmp_path / "note.dcm") == "not_dicom"
    whole = film().read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    assert code_of(tmp_path / "cut.dcm") == "truncated"


def test_limits_hold_before_pixels_are_touched(film) -> None:
    path = film()
    with pytest.raises(DicomRefused):
        read_header(path, Limits(max_file_bytes=100))
    with pytest.raises(DicomRefused):
        read_header(path, Limits(max_pixels=100))


def test_a_scan_header_that_claims_no_coefficients_is_put_right() -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").save(out, "JPEG")
    valid = out.getvalue()
    at = valid.index(b"\xff\xda") + 2 + int.from_bytes(valid[valid.index(b"\xff\xda") + 2 :][:2]) - 2
    assert valid[at] == 63
    broken = valid[:at] + b"\0" + valid[at + 1 :]
    assert with_whole_scan(broken) == valid
    assert with_whole_scan(valid) is valid
    for other in (b"", b"\xff\xd8", b"\xff\xd8\xff\xda", broken[:30], b"\xff\x4f\xff\x51"):
        assert with_whole_scan(other) is other


def many_items(film, tmp_path: Path, count: int) -> Path:
    """Eight bytes an item: a sequence of undefined length that is parsed whole."""
    whole = film().read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")  # before SamplesPerPixel
    sequence = b"\x18\x00\x12\x00SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * count
    ended = sequence + b"\xfe\xff\xdd\xe0\0\0\0\0"
    (tmp_path / "items.dcm").write_bytes(whole[:at] + ended + whole[at:])
    return tmp_path / "items.dcm"


def test_a_header_in_too_many_pieces_is_refused(film, tmp_path) -> None:
    assert read_header(many_items(film, tmp_path, 100), Limits()).Rows == 48
    path = many_items(film, tmp_path, 250_000)
    assert code_of(path) == "bad_header"


def test_without_that_bound_every_item_would_be_made(film, tmp_path, monkeypatch) -> None:
    path = many_items(film, tmp_path, 5_000)
    monkeypatch.setattr(parsing, "MAX_READS", 4_000)
    assert code_of(path) == "bad_header"
    monkeypatch.setattr(parsing, "MAX_READS", 10**9)
    assert read_header(path, Limits()).Rows == 48


def defined_items(film, tmp_path: Path, count: int) -> Path:
    """In ContributingEquipmentSequence, of defined length: made into items when it is asked for."""
    whole = film().read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * count
    sequence = b"\x18\x00\x01\xa0SQ\0\0" + len(items).to_bytes(4, "little") + items
    (tmp_path / "defined.dcm").write_bytes(whole[:at] + sequence + whole[at:])
    return tmp_path / "defined.dcm"


def test_a_sequence_of_defined_length_is_bounded_too(film, tmp_path) -> None:
    assert read_header(defined_items(film, tmp_path, 100), Limits()).Rows == 48
    assert code_of(defined_items(film, tmp_path, 70_000)) == "bad_header"


def test_without_its_bound_every_item_of_it_would_be_made(film, tmp_path, monkeypatch) -> None:
    path = defined_items(film, tmp_path, 5_000)
    monkeypatch.setattr(parsing, "SEQUENCE_MAX", 39_999)
    assert code_of(path) == "bad_header"
    monkeypatch.setattr(parsing, "SEQUENCE_MAX", 40_000)
    assert read_header(path, Limits()).Rows == 48


def test_nothing_is_nested_so_deep_that_reading_it_fails_otherwise(film, tmp_path) -> None:
    whole = film().read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")
    level = b"\x18\x00\x12\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    (tmp_path / "deep.dcm").write_bytes(whole[:at] + level * 20_000 + whole[at:])
    assert code_of(tmp_path / "deep.dcm") in ("bad_header", "truncated")


def test_published_files_of_many_kinds_give_an_image_or_a_reason() -> None:
    """Uses the data folder where there is one; elsewhere the generated films above stand alone."""
    folder = Path(os.environ.get("LYNCEUS_DATA", ROOT.parent / "shared" / "data")) / "dicom"
    for path in sorted(folder.glob("*.dcm")):
        try:
            header = read_header(path, Limits())
            pixels = decode(path, Limits()).pixels
        except DicomRefused as refusal:
            assert refusal.code, path.name
            assert len(refusal.message) > 10, path.name
        else:
            assert header.SOPInstanceUID, path.name
            assert 0 <= pixels.min() <= pixels.max() <= 1, path.name
