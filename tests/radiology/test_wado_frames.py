"""WADO-RS: frames as they are stored and transcoded, by hand and with another's client."""

from __future__ import annotations

import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from apps.audit.models import AuditEvent
from apps.radiology.common import decoding
from tests.radiology.conftest import as_file, film
from tests.radiology.dicomweb import content, instance_of, parts, uids

OCTETS = "application/octet-stream"
EXPLICIT = f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"


def frames_of(seed: int = 0, frames: int = 3) -> tuple[Dataset, list[bytes]]:
    """A film of several frames, and each as it is in Explicit VR Little Endian."""
    rng = np.random.default_rng(seed)
    pixels = [rng.integers(0, 4000, (96, 80)).astype("<u2").tobytes() for _ in range(frames)]
    return film(NumberOfFrames=frames, PixelData=b"".join(pixels)), pixels


def in_syntax(data: Dataset, syntax: str) -> Dataset:
    if syntax in (RLELossless, JPEG2000Lossless):
        data.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = syntax
    return data


@pytest.mark.django_db(transaction=True)
def test_another_client_reads_frames(web: DICOMwebClient, take) -> None:
    data, pixels = frames_of()
    take(data)
    assert web.retrieve_instance_frames(*uids(data), frame_numbers=[1, 3]) == [pixels[0], pixels[2]]
    asked = {"frame_numbers": [2], "media_types": (OCTETS,)}
    assert web.retrieve_instance_frames(*uids(data), **asked) == [pixels[1]]
    assert list(web.iter_instance_frames(*uids(data), frame_numbers=[1, 2, 3])) == pixels
    rle = take(in_syntax(film(seed=3), RLELossless))
    [stored] = web.retrieve_instance_frames(*uids(rle), [1], media_types=(("image/dicom-rle", RLELossless),))
    assert stored in as_file(rle)
    [plain] = web.retrieve_instance_frames(*uids(rle), [1], media_types=((OCTETS, ExplicitVRLittleEndian),))
    assert plain == film(seed=3).PixelData


NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", NATIVE)
def test_native_frames_are_given_in_explicit_little_endian(ask, take, syntax) -> None:
    data, pixels = frames_of()
    take(in_syntax(data, syntax))
    viewer = f"multipart/related; type={OCTETS}; transfer-syntax=*"
    for accept in ("", "*/*", viewer, f'multipart/related; type="{OCTETS}"', 'multipart/related; type="*/*"'):
        assert parts(ask(f"{instance_of(data)}/frames/2,1", accept)) == [
            (EXPLICIT, pixels[1]),
            (EXPLICIT, pixels[0]),
        ]


J2K = f"image/jp2; transfer-syntax={JPEG2000Lossless}"
J2K_OCTETS = f"{OCTETS}; transfer-syntax={JPEG2000Lossless}"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", J2K),
        ("*/*", J2K),
        ('multipart/related; type="*/*"', J2K),
        ('multipart/related; type="image/jp2"', J2K),
        ("multipart/related; type=image/jp2", J2K),
        (f'multipart/related;type="image/jp2";transfer-syntax="{JPEG2000Lossless}"', J2K),
        ('multipart/related; type="image/*"; transfer-syntax=*', J2K),
        (f"multipart/related; type={OCTETS}; transfer-syntax=*", J2K_OCTETS),
        (f'multipart/related; type="{OCTETS}"', EXPLICIT),
        (f'Multipart/Related; type="{OCTETS}"; transfer-syntax={ExplicitVRLittleEndian}', EXPLICIT),
        (f'multipart/related; type="*/*"; transfer-syntax={ExplicitVRLittleEndian}', EXPLICIT),
        (f'multipart/related; type="image/jp2"; q=0.5, multipart/related; type="{OCTETS}"', EXPLICIT),
        ('multipart/related; type="image/jpeg", multipart/related; type="image/jp2"', J2K),
        ('multipart/related; type="image/jls"; transfer-syntax="a,b", */*;q=0.1', J2K),
    ],
)
def test_what_is_compressed_is_given_as_it_is_accepted(ask, take, accept, kind) -> None:
    data = take(in_syntax(film(), JPEG2000Lossless))
    [(given, frame)] = parts(ask(f"{instance_of(data)}/frames/1", accept))
    assert given == kind
    assert frame == film().PixelData if kind == EXPLICIT else frame in as_file(data)


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        'multipart/related; type="image/jpeg"',
        f'multipart/related; type="image/jp2"; transfer-syntax={RLELossless}',
        "*/*; q=0",
        "a" * 5000,
    ],
)
def test_what_cannot_be_given_is_406(ask, take, accept) -> None:
    data = take(in_syntax(film(), JPEG2000Lossless))
    answer = ask(f"{instance_of(data)}/frames/1", accept)
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert not AuditEvent.objects.filter(action="film.viewed").exists()


def test_one_frame_may_come_alone(ask, take) -> None:
    data, pixels = frames_of()
    take(data)
    answer = ask(f"{instance_of(data)}/frames/3", OCTETS)
    assert (answer["Content-Type"], content(answer)) == (EXPLICIT, pixels[2])
    assert content(ask(f"{instance_of(data)}/frames/3", "image/png", {"accept": OCTETS})) == pixels[2]
    assert ask(f"{instance_of(data)}/frames/1,3", OCTETS).status_code == 406
    event = AuditEvent.objects.filter(action="film.viewed").first()
    assert event.detail == {"frames": [3]}


def test_a_frame_fetched_ahead_is_told_from_one_that_was_looked_at(radiologist, take) -> None:
    address = f"/dicom-web/{instance_of(take())}/frames/1"
    for headers in ({"X-Lynceus-Prefetch": "1"}, {}):
        assert radiologist.get(address, headers={"accept": OCTETS, **headers}).status_code == 200
    seen = AuditEvent.objects.filter(action="film.viewed").order_by("pk")
    assert [event.detail for event in seen] == [{"frames": [1], "ahead": True}, {"frames": [1]}]


@pytest.mark.parametrize("numbers", ["4", "1,4", "0", "x", "1,", "-1", "1" * 9])
def test_frames_that_are_not_there(ask, take, numbers) -> None:
    data, _ = frames_of()
    take(data)
    assert ask(f"{instance_of(data)}/frames/{numbers}").status_code == 404


def test_colours_are_not_given_as_others_than_the_header_says(ask, take) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (96, 80, 3)).astype(np.uint8)
    colour = {
        "SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB",
        "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": pixels.tobytes(),
    }  # fmt: skip
    rgb = take(in_syntax(film(**colour), RLELossless))
    plain = f'multipart/related; type="{OCTETS}"'
    [(_, frame)] = parts(ask(f"{instance_of(rgb)}/frames/1", plain))
    assert frame == pixels.tobytes() or frame == np.moveaxis(pixels, 2, 0).tobytes()
    other = in_syntax(film(**colour), RLELossless)
    other.PhotometricInterpretation = "YBR_FULL"
    take(other)
    answer = ask(f"{instance_of(other)}/frames/1", plain)
    assert (answer.status_code, answer.json()["code"]) == (406, "film_unreadable")
    assert len(parts(ask(f"{instance_of(other)}/frames/1"))) == 1


def test_a_damaged_frame_is_an_answer_and_not_an_error_of_ours(ask, take) -> None:
    data = in_syntax(film(), JPEG2000Lossless)
    at = data.PixelData.index(b"\xff\x4f\xff\x51")
    data.PixelData = data.PixelData[: at + 60] + b"\xff" * (len(data.PixelData) - at - 60)
    take(data)
    answer = ask(f"{instance_of(data)}/frames/1", f'multipart/related; type="{OCTETS}"')
    assert (answer.status_code, answer.json()["code"]) == (406, "film_unreadable")


def test_nothing_is_decoded_in_the_web_process(ask, take, decoded, monkeypatch) -> None:
    data, seen = take(in_syntax(film(), RLELossless)), decoded(seed=1)
    for decoder in ("ml.radiology.pixels.pixel_array", "PIL.Image.open"):
        monkeypatch.setattr(decoder, lambda *args, **kwargs: pytest.fail("decoded here"))
    for door, accept in (("frames/1", OCTETS), ("frames/1", ""), ("metadata", ""), ("bulkdata/7FE00010", "")):
        assert ask(f"{instance_of(data)}/{door}", accept).status_code == 200
    for door in ("thumbnail", "rendered", "frames/1/rendered"):
        assert ask(f"{instance_of(seen)}/{door}", "image/jpeg").status_code == 200


def test_too_many_that_wait_for_the_decoder_are_told(ask, take, monkeypatch) -> None:
    data = take(in_syntax(film(), RLELossless))
    for _ in range(decoding.TURNS):
        decoding._turns.acquire()
    try:
        answer = ask(f"{instance_of(data)}/frames/1", OCTETS)
        assert (answer.status_code, answer.json()["code"]) == (503, "decoder_busy")
        assert ask(f"{instance_of(data)}/frames/1").status_code == 200
    finally:
        for _ in range(decoding.TURNS):
            decoding._turns.release()
    assert ask(f"{instance_of(data)}/frames/1", OCTETS).status_code == 200
