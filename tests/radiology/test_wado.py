"""WADO-RS: files, metadata, frames, bulk data, by hand and with another's client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from apps.accounts.models import ApiClient
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.radiology import decoding, pictures, wado
from apps.radiology.models import Instance, Study
from apps.radiology.services.patients import merge_patients
from apps.radiology.store import film_path
from tests.radiology.conftest import as_file, film
from tests.radiology.dicomweb import JSON, content, instance_of, parts, read, series_of, study_of, uids
from tests.radiology.test_rejections import QUALITY, note

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


# Metadata


def test_it_works(ask, take) -> None:
    data = take(PatientName="Müller^Ännchen", SpecificCharacterSet="ISO_IR 100", WindowCenter=[1, 2])
    answer = ask(f"{instance_of(data)}/metadata", JSON)
    assert (answer.status_code, answer["Content-Type"]) == (200, JSON)
    assert answer["Cache-Control"] == "no-store"
    [said] = read(answer)
    assert said["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Ännchen"}]}
    assert said["00080005"]["Value"] == ["ISO_IR 192"]
    assert said["00281050"]["Value"] == [1.0, 2.0]
    assert said["00280010"] == {"vr": "US", "Value": [96]}
    assert said["00083002"]["Value"] == [ExplicitVRLittleEndian]
    address = said["7FE00010"]["BulkDataURI"]
    assert address == f"http://testserver/dicom-web/{instance_of(data)}/bulkdata/7FE00010"
    assert not any(tag.startswith("0002") for tag in said)
    event = AuditEvent.objects.get(action="study.retrieved")
    assert event.detail == {"instances": 1, "what": "metadata"}


@pytest.mark.parametrize("accept", ["", "*/*", JSON, "application/json", f"{JSON}, application/json"])
def test_metadata_come_as_bare_json(ask, take, accept) -> None:
    data = take()
    for level in (study_of, series_of, instance_of):
        answer = ask(f"{level(data)}/metadata", accept)
        assert answer.status_code == 200
        assert answer["Content-Type"] == ("application/json" if accept == "application/json" else JSON)


def test_metadata_in_xml_are_not_to_be_had(ask, take) -> None:
    answer = ask(f"{study_of(take())}/metadata", 'multipart/related; type="application/dicom+xml"')
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.django_db(transaction=True)
def test_another_client_reads_metadata_and_bulk_data(web: DICOMwebClient, take, live_server) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [4096, 0, 16], "A table"
    table.LUTData = np.arange(4096, dtype="<u2").tobytes()
    table["LUTData"].VR = "OW"
    data = take(ModalityLUTSequence=Sequence([table]))
    take(film(StudyInstanceUID=data.StudyInstanceUID, seed=1))
    study_uid, series_uid, instance_uid = uids(data)
    assert len(web.retrieve_study_metadata(study_uid)) == 2
    [said] = web.retrieve_series_metadata(study_uid, series_uid)
    assert web.retrieve_instance_metadata(study_uid, series_uid, instance_uid) == said
    inside = said["00283000"]["Value"][0]
    assert inside["00283003"]["Value"] == ["A table"]

    def address(element: dict[str, Any]) -> str:
        # This client (0.60.1) leaves the port out of the Host it asks, and so do the addresses it is given.
        return live_server.url + urlsplit(element["BulkDataURI"]).path

    assert web.retrieve_bulkdata(address(inside["00283006"])) == [table.LUTData]
    assert web.retrieve_bulkdata(address(said["7FE00010"])) == [data.PixelData]
    assert b"".join(web.iter_bulkdata(address(said["7FE00010"]))) == data.PixelData
    back = Dataset.from_json(said, bulk_data_uri_handler=lambda uri: b"")
    assert back.PatientName == "Doe^Jane"


def test_bulk_data_alone_or_nowhere(ask, take) -> None:
    data = take()
    place = f"{instance_of(data)}/bulkdata"
    alone = ask(f"{place}/7FE00010", OCTETS)
    assert (alone["Content-Type"], content(alone)) == (OCTETS, data.PixelData)
    nowhere = ["00083006", "00081140/0/00081155", "00100010/0/00100010", "FFFFFFFF"]
    assert [ask(f"{place}/{one}").status_code for one in nowhere] == [404] * 4
    assert ask(f"{place}/00100010", "image/png").status_code == 406


def test_compressed_bulk_data_are_its_frames(ask, take) -> None:
    data, pixels = frames_of()
    take(in_syntax(data, RLELossless))
    given = parts(ask(f"{instance_of(data)}/bulkdata/7FE00010"))
    assert [kind for kind, _ in given] == [f"image/dicom-rle; transfer-syntax={RLELossless}"] * 3
    octets = parts(ask(f"{instance_of(data)}/bulkdata/7FE00010", f'multipart/related; type="{OCTETS}"'))
    assert [one for _, one in octets] == pixels


def test_metadata_name_the_current_patient_and_nothing_else_of_the_last(ask, take, make_user, site) -> None:
    data = take(PatientAddress="1 Old Street", OtherPatientIDs="X9", PatientName="Doe^Jane")
    take(PatientID="5000", PatientName="Roe^Ann")
    merge_patients(site, ("4711", ""), ("5000", ""), note="the same", by=make_user("radiologist"))
    answer = ask(f"{instance_of(data)}/metadata")
    [said] = read(answer)
    assert said["00100020"]["Value"] == ["5000"]
    assert said["00100010"]["Value"] == [{"Alphabetic": "Roe^Ann"}]
    assert {"00101040", "00101000"} & said.keys() == set()
    files = ask(instance_of(data))
    assert 'Lynceus "The files name patient and study as sent' in files["Warning"]
    assert as_file(data) in content(files)


def test_a_header_that_cannot_be_read_any_more_is_no_error_of_ours(ask, take, settings) -> None:
    data = take()
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 0
    [said] = read(ask(f"{instance_of(data)}/metadata"))
    assert said["00080018"]["Value"] == [data.SOPInstanceUID]
    refused = ask(f"{instance_of(data)}/frames/1")
    assert (refused.status_code, refused.json()["code"]) == (406, "film_unreadable")


def test_a_file_that_is_gone_is_said_to_be_gone(ask, take, site) -> None:
    data = take()
    film_path(site, Instance.objects.get().file_sha256).unlink()
    doors = ["", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/bulkdata/00100010"]
    answers = [ask(instance_of(data) + door) for door in doors]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert {answer.json()["code"] for answer in answers} == {"film_unavailable"}
    assert answers[0]["Retry-After"] == "30"
    assert not AuditEvent.objects.filter(action="study.retrieved").exists()


# Frames


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


# Files


def test_one_file_may_come_alone(ask, take) -> None:
    data = take()
    answer = ask(instance_of(data), "application/dicom")
    assert (answer["Content-Type"], content(answer)) == ("application/dicom", as_file(data))
    assert "Warning" not in answer


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ('multipart/related; type="application/dicom"', 200),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', 200),
        (f"multipart/related; type=application/dicom; transfer-syntax={ExplicitVRLittleEndian}", 200),
        (f"multipart/related; type=application/dicom; transfer-syntax={RLELossless}", 406),
        ("image/png", 406),
    ],
)
def test_files_come_as_they_are_stored_or_not_at_all(ask, take, accept, status) -> None:
    data = take()
    answer = ask(study_of(data), accept)
    assert answer.status_code == status
    if status == 200:
        assert parts(answer) == [
            (f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}", as_file(data))
        ]
    assert AuditEvent.objects.filter(action="study.retrieved").count() == (1 if status == 200 else 0)


# Whose


DOORS = ["", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/bulkdata/00080018", "/rendered", "/thumbnail"]


def answers(ask: Any, data: Dataset, token: str) -> list[int]:
    higher = [place + door for place in (study_of(data), series_of(data)) for door in ("", "/metadata")]
    doors = [*higher, *(instance_of(data) + door for door in DOORS)]
    return [ask(door, token=token).status_code for door in doors]


def test_another_sites_film_is_not_there(ask, decoded, token, other_token) -> None:
    data = decoded()
    assert set(answers(ask, data, token)) == {200}
    assert set(answers(ask, data, other_token)) == {404}


def test_without_the_check_of_the_site_it_would_be(ask, decoded, other_token, monkeypatch) -> None:
    data = decoded()
    for where in (wado, pictures):
        monkeypatch.setattr(where, "study_by_uid", lambda site, uid: Study.objects.get(StudyInstanceUID=uid))
    one = "instance_by_uids"
    monkeypatch.setattr(wado, one, lambda site, *uids: Instance.objects.get(SOPInstanceUID=uids[-1]))
    assert set(answers(ask, data, other_token)) == {200}


@pytest.mark.parametrize("who", ["nobody", "a dead token", "another scope", "another role"])
def test_a_stranger_is_told_nothing(ask, take, make_user, site, client, who) -> None:
    data = take()
    token, status = "", 401
    if who == "a dead token":
        token = "lyn_never-made"
    elif who == "another scope":
        made = ApiClient.objects.create(site=site, name="bank", scopes=["fraud"])
        token, status = rotate_secret(made), 403
    elif who == "another role":
        client.force_login(make_user("fraud_analyst"))
        status = 403
    assert set(answers(ask, data, token)) == {status}


def test_a_rejected_film_is_not_there(ask, take, arrive) -> None:
    data = take()
    other = take(StudyInstanceUID=data.StudyInstanceUID, SeriesInstanceUID=data.SeriesInstanceUID, seed=1)
    arrive(note(QUALITY, data))
    assert {ask(instance_of(data) + door).status_code for door in DOORS} == {404}
    left = read(ask(f"{study_of(data)}/metadata"))
    assert [one["00080018"]["Value"] for one in left] == [[other.SOPInstanceUID]]
