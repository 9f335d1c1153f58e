"""WADO-RS: files, metadata, bulk data, by hand and with another's client; and to whom."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRLittleEndian,
    RLELossless,
)

from apps.accounts.models import ApiClient
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.radiology.api import pictures, wado
from apps.radiology.common.store import film_path
from apps.radiology.intake.services.patients import merge_patients
from apps.radiology.models import Instance, Study
from tests.radiology.conftest import as_file, film
from tests.radiology.dicomweb import JSON, content, instance_of, parts, read, series_of, study_of, uids
from tests.radiology.test_rejections import QUALITY, note
from tests.radiology.test_wado_frames import frames_of, in_syntax

OCTETS = "application/octet-stream"
EXPLICIT = f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"


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
