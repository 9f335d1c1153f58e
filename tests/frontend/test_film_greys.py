"""A film looks as the model was given it: in every codec and polarity, with and without WebGL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import decode
from tests.frontend.films import apart, doors, fitted, picture, screen, viewer, wait
from tests.radiology.conftest import film

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("LYNCEUS_DATA", ROOT.parent / "shared" / "data")) / "dicom"
SIDE = 240
SMALLEST = 101
OpenPage = Callable[..., Page]


def waves() -> np.ndarray:
    """A smooth film, 0 to 4000, nowhere symmetrical."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    return np.rint(2000 + 1200 * np.sin(3 * x + 2 * y * y) + 800 * np.cos(5 * y - x)).astype(np.uint16)


def made(**attributes) -> Dataset:
    values = attributes.pop("values", waves())
    data = film(Rows=SIDE, Columns=SIDE, PixelData=np.ascontiguousarray(values).tobytes())
    for name, value in attributes.items():
        setattr(data, name, value)
    return data


def table(entries: list[int], *, first: int = 0, bits: int = 16, words: bool = False) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = np.array(entries, np.uint16).tobytes() if words else entries
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW" if words else "US"
    return item


def bent(n: int = 4096) -> list[int]:
    return [round(65535 * (i / (n - 1)) ** 2) for i in range(n)]


def with_padding() -> Dataset:
    values = waves()
    values[:40], values[:, :30] = 4095, 4095
    return made(values=values, PixelPaddingValue=4095, WindowCenter=2000, WindowWidth=5000)


WAYS: dict[str, Callable[[], Dataset]] = {
    "nothing said": made,
    "window": lambda: made(WindowCenter=1800, WindowWidth=2400),
    "the first of two windows": lambda: made(WindowCenter=[1500, 3000], WindowWidth=[1000, 900]),
    "window for other values": lambda: made(WindowCenter=40_000, WindowWidth=300),
    "exact window": lambda: made(WindowCenter=1800, WindowWidth=900, VOILUTFunction="LINEAR_EXACT"),
    "sigmoid": lambda: made(WindowCenter=1900, WindowWidth=1500, VOILUTFunction="SIGMOID"),
    "inverted sigmoid": lambda: made(
        WindowCenter=1500, WindowWidth=1500, VOILUTFunction="SIGMOID", PhotometricInterpretation="MONOCHROME1"
    ),
    "inverted": lambda: made(PhotometricInterpretation="MONOCHROME1"),
    "inverted window": lambda: made(
        PhotometricInterpretation="MONOCHROME1", WindowCenter=1400, WindowWidth=2000
    ),
    "VOI LUT": lambda: made(VOILUTSequence=[table(bent())]),
    "VOI LUT in an address": lambda: made(VOILUTSequence=[table(bent(), words=True)]),
    "VOI LUT of 12 bits, inverted": lambda: made(
        VOILUTSequence=[table([value >> 4 for value in bent()], bits=12)],
        PhotometricInterpretation="MONOCHROME1",
    ),
    "VOI LUT that begins late": lambda: made(VOILUTSequence=[table(bent(1500), first=1200)]),
    "rescaled": lambda: made(RescaleSlope=0.37, RescaleIntercept=-900, WindowCenter=-200, WindowWidth=700),
    "rescaled downwards": lambda: made(
        RescaleSlope=-2, RescaleIntercept=4095, WindowCenter=0, WindowWidth=5000
    ),
    "modality LUT": lambda: made(ModalityLUTSequence=[table(bent(), bits=16)]),
    "signed": lambda: made(
        values=waves().astype(np.int16) - 2000, PixelRepresentation=1, WindowCenter=0, WindowWidth=3000
    ),
    "padding": with_padding,
    "8 bits": lambda: made(values=(waves() // 16).astype(np.uint8), BitsAllocated=8, BitsStored=8, HighBit=7),
    "16 bits": lambda: made(values=waves() * 16, BitsStored=16, HighBit=15),
    "32 bits": lambda: made(
        values=waves().astype(np.uint32) * 70_000, BitsAllocated=32, BitsStored=32, HighBit=31
    ),
    "all the same": lambda: made(values=np.full((SIDE, SIDE), 7, np.uint16)),
}


def written(data: Dataset, folder: Path, syntax: str = "") -> Path:
    path = folder / "film.dcm"
    if syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        data.compress(syntax)
    elif syntax:
        data.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
        data.save_as(path, little_endian=False, implicit_vr=False, enforce_file_format=True)
    else:
        data.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(params=["WebGL", "no WebGL"])
def show(request, open_page: OpenPage) -> Callable[[Path], Page]:
    """Opens the viewer on a file. A browser without WebGL draws on a plain canvas."""

    def shown(path: Path) -> Page:
        page = open_page(viewer(), doors(path), webgl=request.param == "WebGL")
        wait(page)
        return page

    return shown


@pytest.mark.parametrize("way", WAYS)
def test_it_works(way: str, show, tmp_path) -> None:
    """What is on the screen is the picture the model was given."""
    path = written(WAYS[way](), tmp_path)
    seen, given = fitted(show(path), picture(path))
    assert apart(seen, given) <= (20 if way == "padding" else 3)  # interpolated at the padding's edge


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
)
def test_every_codec_gives_the_same_screen(syntax: str, show, tmp_path) -> None:
    plain = screen(show(written(made(WindowCenter=1800, WindowWidth=2400), tmp_path)))
    coded = screen(show(written(made(WindowCenter=1800, WindowWidth=2400), tmp_path, syntax)))
    assert apart(coded, plain) == 0


def test_both_polarities_give_the_same_screen(show, tmp_path) -> None:
    plain = screen(show(written(made(), tmp_path)))
    turned = made(values=4000 - waves(), PhotometricInterpretation="MONOCHROME1")
    assert apart(screen(show(written(turned, tmp_path))), plain) <= 1


def test_a_polarity_that_were_not_minded_would_be_seen(show, tmp_path) -> None:
    """The sabotage: the same values, and a header that says the other polarity."""
    plain = screen(show(written(made(), tmp_path)))
    wrong = screen(show(written(made(PhotometricInterpretation="MONOCHROME1"), tmp_path)))
    assert apart(wrong, plain) > 100


def test_published_films_look_as_the_model_was_given_them(open_page: OpenPage) -> None:
    """And one that lies there in several lossless codecs looks the same in each."""
    same: dict[str, np.ndarray] = {}
    wrong = {}
    for path in sorted(FOLDER.glob("*.dcm")):
        try:
            decoded = decode(path)
        except DicomRefused:
            continue
        page = open_page(viewer(), doors(path), webgl=False)
        wait(page)
        seen, given = fitted(page, picture(path))
        if min(decoded.pixels.shape) < SMALLEST:  # enlarged, it is the interpolation that would be compared
            continue
        first = same.setdefault(decoded.pixel_sha256 + str(given.tobytes()), seen)
        if np.abs(seen.astype(int) - given).mean() > 2 or apart(seen, first):
            wrong[path.name] = np.abs(seen.astype(int) - given).mean()
    assert wrong == {}
