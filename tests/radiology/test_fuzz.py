"""Seeded damage to small valid films: a refusal or a picture, nothing else, and no growth here.

LYNCEUS_FUZZ_CASES says how many (2,000; a soak runs 20,000), LYNCEUS_FUZZ_SEED where they start.
"""

from __future__ import annotations

import io
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import orjson
import psutil
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import content_sha256, gate, identify, read_header
from ml.radiology.dicomjson import header_json
from ml.radiology.frames import stored_frame, stored_pixels
from ml.radiology.isolation import IsolatedDecoder
from ml.radiology.parsing import Limits
from tests.radiology.conftest import as_file, film

CASES = int(os.environ.get("LYNCEUS_FUZZ_CASES", "2000"))
SEED = int(os.environ.get("LYNCEUS_FUZZ_SEED", "1"))
SHARDS = 4
GROWTH_MAX = 150 * 1024**2
LIMITS = Limits(max_file_bytes=4 * 1024**2, max_pixels=4_000_000, max_decoded_bytes=16 * 1024**2)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000)


def native(syntax: str) -> bytes:
    data = small()
    data.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    if not little:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def small() -> Dataset:
    data = film(WindowCenter=2000, WindowWidth=4000, RescaleSlope=1, RescaleIntercept=0)
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "one"
    item.ConceptNameCodeSequence = Sequence([Dataset()])
    data.ViewCodeSequence = Sequence([item])
    data.ViewCodeSequence.is_undefined_length = True
    return data


def compressed(syntax: str) -> bytes:
    data = small()
    data.compress(syntax)
    return as_file(data)


def jpeg() -> bytes:
    data = small()
    grey = (np.frombuffer(data.PixelData, np.uint16).reshape(96, 80) >> 4).astype(np.uint8)
    frame = io.BytesIO()
    Image.fromarray(grey).save(frame, "JPEG")
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelData = encapsulate([frame.getvalue()])
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return as_file(data)


def valid_films() -> list[bytes]:
    natives = [
        native(s) for s in (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
    ]
    codecs = [compressed(syntax) for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)]
    return [as_file(small()), *natives, *codecs, jpeg()]


def flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def set_number(content: bytearray, rng: random.Random) -> None:
    """Where a length, a count or a tag may stand: most lie in the header."""
    size = rng.choice((1, 2, 4))
    at = rng.randrange(min(len(content) - size, rng.choice((1200, len(content)))))
    value = rng.choice(INTERESTING) & (256**size - 1)
    content[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def swap_tags(content: bytearray, rng: random.Random) -> None:
    first, second = (rng.randrange(132, min(1200, len(content) - 8)) & ~1 for _ in range(2))
    a, b = bytes(content[first : first + 4]), bytes(content[second : second + 4])
    content[first : first + 4], content[second : second + 4] = b, a


def repeat(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    piece = bytes(content[start : start + rng.randrange(1, 600)])
    at = rng.randrange(len(content))
    content[at:at] = piece * rng.choice((1, 2, 50))


def remove(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content) - 1)
    del content[start : start + rng.randrange(1, 64)]


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip, flip, cut, set_number, set_number, set_number, swap_tags, repeat, remove,
)  # fmt: skip


def outcome_of(path: Path, decoder: IsolatedDecoder) -> str:
    """The refusal's code or "picture"; anything else is raised."""
    try:
        header = read_header(path, LIMITS)
        gate(header)
        content_sha256(path)
    except DicomRefused as refusal:
        assert refusal.code
        assert identify(path, LIMITS) is not None
        return f"door {refusal.code}"
    try:
        decoded = decoder.decode(path)
    except DicomRefused as refusal:
        given_out(path, decoder)
        return f"decoder {refusal.code}"
    given_out(path, decoder)
    assert decoded.image.pixels.shape == (header.Rows, header.Columns)
    assert np.isfinite(decoded.image.pixels).all()
    assert decoded.picture.startswith(b"\x89PNG")
    return "picture"


def given_out(path: Path, decoder: IsolatedDecoder) -> None:
    """What WADO-RS gives of a film that was taken: something or a refusal."""
    orjson.dumps(header_json(path, LIMITS, str))
    with suppress(DicomRefused):
        pixels = stored_pixels(path, LIMITS)
        assert decoder.frame(path, 0)
        assert not pixels.as_they_lie or any(stored_frame(pixels, 0))


@pytest.fixture
def decoder():
    decoder = IsolatedDecoder(LIMITS, memory_bytes=1024**3, timeout_s=20)
    yield decoder
    decoder.close()


def test_undamaged_films_give_pictures(decoder, tmp_path) -> None:
    for number, content in enumerate(valid_films()):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(content)
        assert outcome_of(path, decoder) == "picture", number


@pytest.mark.soak
@pytest.mark.parametrize("shard", range(SHARDS))
def test_damaged_films_are_refused_or_shown(decoder, tmp_path, shard) -> None:
    films, path, seen = valid_films(), tmp_path / "case.dcm", Counter()
    before = psutil.Process().memory_info().rss
    for case in range(shard, CASES, SHARDS):
        rng = random.Random(f"{SEED}/{case}")
        content = bytearray(films[case // SHARDS % len(films)])
        for _ in range(rng.choice((1, 1, 2, 3))):
            if len(content) > 1300:
                rng.choice(MUTATIONS)(content, rng)
        path.write_bytes(content)
        try:
            seen[outcome_of(path, decoder)] += 1
        except Exception as error:
            error.add_note(f"LYNCEUS_FUZZ_SEED={SEED}, case {case}")
            raise
    print(dict(seen))  # noqa: T201 - pytest -s shows what became of them
    assert seen["picture"] > 0
    assert len(seen) > 3
    assert psutil.Process().memory_info().rss - before < GROWTH_MAX
