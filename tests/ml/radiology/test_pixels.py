"""One path from stored values to what is shown and judged: codecs, lookup tables, windows, polarity."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ml.radiology import pixels
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import Limits, decode, read_header
from ml.radiology.predict import RadiologyPredictor
from ml.radiology.synthetic import synthetic_film
from tests.radiology.conftest import film

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = Path(os.environ.get("LYNCEUS_DATA", ROOT.parent / "shared" / "data")) / "dicom"
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
SYNTAXES = (*NATIVE, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless)
# One exposure each: the first decodes as it is, the others against it; the number is what a codec may lose.
EXPOSURES = {
    "cornerstone3D__CT_LittleEndianExplicit": {
        "cornerstone3D__CT_LittleEndianImplicit": 0, "cornerstone3D__CT_BigEndian": 0,
        "cornerstone3D__CT_Deflated": 0, "cornerstone3D__CT_JPEGProcess14SV1": 0,
    },
    "dicom-test-files__RG2_JPLL": {
        "dicom-test-files__RG2_J2KR": 0, "dicom-test-files__RG2_RLE": 0,
        "dicom-test-files__RG2_JLSN": 0.02, "dicom-test-files__RG2_JPLY": 0.05,
    },
    "dicom-test-files__RG3_JPLL": {"dicom-test-files__RG3_JLSL": 0},
}  # fmt: skip


def written(data: Dataset, folder: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """The same film in another transfer syntax."""
    if syntax in (*NATIVE, ExplicitVRBigEndian):
        data.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
        how: dict[str, Any] = {"implicit_vr": syntax == ImplicitVRLittleEndian,
                               "little_endian": syntax != ExplicitVRBigEndian}  # fmt: skip
    else:
        data.compress(syntax, generate_instance_uid=False)
        how = {}
    path = folder / f"{syntax}-{data.SOPInstanceUID}.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(path, enforce_file_format=True, **how)
    return path


def shown(folder: Path, **attributes: Any) -> Any:
    return decode(written(film(**attributes), folder), Limits()).pixels


def test_one_exposure_is_the_same_in_every_codec(tmp_path) -> None:
    images = [decode(written(film(), tmp_path, syntax), Limits()) for syntax in SYNTAXES]
    assert len({image.pixel_sha256 for image in images}) == 1
    for image in images[1:]:
        assert np.array_equal(image.pixels, images[0].pixels)


@pytest.mark.parametrize("first", EXPOSURES)
def test_published_exposures_are_the_same_in_every_codec(first) -> None:
    """Where the published files are at hand; the codecs made above stand alone elsewhere."""
    for other, loss in EXPOSURES[first].items():
        found = [sorted(PUBLISHED.glob(f"{start}*")) for start in (first, other)]
        if not all(found):
            continue
        one, two = (decode(paths[0], Limits()) for paths in found)
        assert np.abs(one.pixels - two.pixels).mean() <= loss, other
        assert loss or one.pixel_sha256 == two.pixel_sha256, other


def test_what_cannot_be_decoded_is_named(tmp_path) -> None:
    data = film(PixelData=encapsulate([b"no codec of ours"]))
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    path = tmp_path / "video.dcm"
    data.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
    with pytest.raises(DicomRefused) as caught:
        read_header(path, Limits())
    assert caught.value.code == "unsupported_transfer_syntax"
    assert caught.value.message == "Cannot decode: MPEG2 Main Profile / Main Level."


def both_polarities(folder: Path) -> list[Any]:
    """A synthetic chest as MONOCHROME2, and its negative as MONOCHROME1 with every way to say so again."""
    stored = np.rint(synthetic_film(3, 1, rows=256).shown * 4095).astype(np.uint16)
    rows, columns = stored.shape
    size = {"Rows": rows, "Columns": columns}
    return [
        shown(folder, **size, PixelData=stored.tobytes(), WindowCenter=2048, WindowWidth=4096),
        shown(folder, **size, PixelData=(4095 - stored).tobytes(), WindowCenter=2048, WindowWidth=4096,
              PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE",
              PixelIntensityRelationshipSign=-1),
    ]  # fmt: skip


def test_both_polarities_give_equal_input_and_equal_findings(trained, tmp_path) -> None:
    predictor = RadiologyPredictor.load(trained.artefact_dir)
    one, two = both_polarities(tmp_path)
    assert np.abs(one - two).max() < 1e-3
    squares = predictor.preprocessing.squares([one, two]).astype(int)
    assert np.abs(squares[0] - squares[1]).max() <= 1
    scores = predictor.probabilities(predictor.preprocessing.squares([one, two]))
    assert np.allclose(scores[0], scores[1], atol=5e-3)


def test_without_the_inversion_they_would_not(trained, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pixels, "_polarity", lambda shown, photometric: shown)
    predictor = RadiologyPredictor.load(trained.artefact_dir)
    one, two = both_polarities(tmp_path)
    assert np.abs(one - two).max() > 0.9
    scores = predictor.probabilities(predictor.preprocessing.squares([one, two]))
    assert not np.allclose(scores[0], scores[1], atol=5e-3)


def ramp(folder: Path, **attributes: Any) -> Any:
    """The first row of a film whose columns hold 0, 16 ... 4080."""
    stored = np.tile((np.arange(256) * 16).astype(np.uint16), (64, 1))
    return shown(folder, Rows=64, Columns=256, PixelData=stored.tobytes(), **attributes)[0]


def test_windows_are_those_of_the_standard(tmp_path) -> None:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, written out here once more."""
    x, center, width = np.arange(256) * 16.0, 2000.0, 1000.0
    window = {"WindowCenter": center, "WindowWidth": width}
    linear = np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    exact = np.clip((x - center) / width + 0.5, 0, 1)
    sigmoid = 1 / (1 + np.exp(-4 * (x - center) / width))
    assert np.allclose(ramp(tmp_path, **window), linear, atol=1e-5)
    assert np.allclose(ramp(tmp_path, **window, VOILUTFunction="LINEAR_EXACT"), exact, atol=1e-5)
    assert np.allclose(ramp(tmp_path, **window, VOILUTFunction="SIGMOID"), sigmoid, atol=1e-5)
    # Of several windows the first; after the rescale.
    several = {"WindowCenter": [center, 50], "WindowWidth": [width, 60]}
    assert np.allclose(ramp(tmp_path, **several), linear, atol=1e-5)
    rescaled = {"RescaleSlope": 2, "RescaleIntercept": -100}
    assert np.allclose(
        ramp(tmp_path, **window, **rescaled),
        np.clip((2 * x - 100 - (center - 0.5)) / (width - 1) + 0.5, 0, 1), atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize("window", [
    {}, {"WindowCenter": 100, "WindowWidth": 0}, {"WindowCenter": "", "WindowWidth": ""},
    {"WindowCenter": 100}, {"WindowCenter": -9e5, "WindowWidth": 10},
])  # fmt: skip
def test_without_a_usable_window_percentiles_are_taken(tmp_path, window) -> None:
    row = ramp(tmp_path, **window)
    assert (row[0], row[-1]) == (0, 1)
    assert np.all(np.diff(row[5:-5]) > 0)


def covered(folder: Path, **attributes: Any) -> Any:
    """A film of values 1000 to 2000 in the middle; all round it the plate as no ray met it, 4095."""
    stored = np.full((100, 120), 4095, np.uint16)
    stored[20:80, 30:90] = np.linspace(1000, 2000, 60).astype(np.uint16)
    return shown(folder, Rows=100, Columns=120, PixelData=stored.tobytes(), **attributes)[20:80, 30:90]


RECTANGLE = {
    "LeftVerticalEdge": 31,
    "RightVerticalEdge": 90,
    "UpperHorizontalEdge": 21,
    "LowerHorizontalEdge": 80,
}


@pytest.mark.parametrize("attributes", [
    {"CollimatorShape": "RECTANGULAR", **{f"Collimator{k}": v for k, v in RECTANGLE.items()}},
    {"ShutterShape": "RECTANGULAR", **{f"Shutter{k}": v for k, v in RECTANGLE.items()}},
    {"CollimatorShape": "CIRCULAR", "CenterOfCircularCollimator": [50, 60], "RadiusOfCircularCollimator": 28},
    {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [21, 31, 21, 90, 80, 90, 80, 31]},
    {"PixelPaddingValue": 4095},
])  # fmt: skip
def test_percentiles_ignore_padding_and_collimation(tmp_path, attributes) -> None:
    inside = covered(tmp_path, **attributes)
    assert inside.min() < 0.05 < 0.95 < inside.max()


def test_otherwise_the_dark_plate_would_take_the_contrast(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pixels, "outside_field", lambda dataset, shape: np.zeros(shape, bool))
    described = {"CollimatorShape": "RECTANGULAR", **{f"Collimator{k}": v for k, v in RECTANGLE.items()}}
    assert covered(tmp_path, **described).max() < 0.5


@pytest.mark.parametrize("broken", [
    {"CollimatorShape": "RECTANGULAR"},
    {"CollimatorShape": "RECTANGULAR", **{f"Collimator{k}": 0 for k in RECTANGLE}},
    {"CollimatorShape": "OVAL"},
    {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [900, 900], "RadiusOfCircularShutter": 3},
    {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [5]},
])  # fmt: skip
def test_a_broken_description_covers_nothing(tmp_path, broken) -> None:
    assert np.array_equal(covered(tmp_path, **broken), covered(tmp_path))


def test_a_voi_table_is_used(tmp_path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.add_new("LUTData", "OW", np.arange(4096, dtype="<u2")[::-1].tobytes())
    row = ramp(tmp_path, VOILUTSequence=[table])
    assert row[0] == 1
    assert row[-1] < 0.01


def small_file_of_a_large_image(folder: Path) -> Path:
    """Its header tells of 96 x 80 pixels, its JPEG 2000 codestream of 3,000 x 3,000: one kilobyte."""
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    flat = film(Rows=3000, Columns=3000, **bits, PixelData=bytes(9_000_000))
    flat.compress(JPEG2000Lossless, generate_instance_uid=False)
    flat.Rows, flat.Columns = 96, 80
    path = folder / "bomb.dcm"
    flat.save_as(path, enforce_file_format=True)
    assert path.stat().st_size < 4096
    return path


def decoders_called(path: Path, monkeypatch) -> int:
    called = []
    whole = pixels.pixel_array
    monkeypatch.setattr(
        pixels, "pixel_array", lambda *args, **how: (called.append(1), whole(*args, **how))[1]
    )
    with pytest.raises(DicomRefused) as caught:
        decode(path, Limits())
    assert caught.value.code == "undecodable"
    return len(called)


def test_a_codestream_larger_than_its_header_meets_no_decoder(tmp_path, monkeypatch) -> None:
    assert decoders_called(small_file_of_a_large_image(tmp_path), monkeypatch) == 0


def test_without_the_look_at_its_size_it_would_be_unpacked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pixels, "frame_size", lambda frame: None)
    assert decoders_called(small_file_of_a_large_image(tmp_path), monkeypatch) == 1
