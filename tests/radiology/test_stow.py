"""DICOMweb: store (STOW-RS) and retrieve (WADO-RS), by hand and with another's client."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from django.test import Client
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from apps.accounts.models import ApiClient, Site
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.api import multipart
from apps.radiology.common.store import film_path
from apps.radiology.models import Instance, Study
from ml.radiology import dicom
from tests.radiology.conftest import as_file, film, film_file

RELATED = 'multipart/related; type="application/dicom"; boundary=xyz'


def body_of(*parts: bytes) -> bytes:
    head = b"--xyz\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--xyz--\r\n"


@pytest.fixture
def stow(client: Client, token: str) -> Callable[..., Any]:
    def post(
        *parts: bytes, study: str = "", raw: bytes | None = None, kind: str = RELATED, **headers: str
    ) -> Any:
        content = body_of(*parts) if raw is None else raw
        headers = {"authorization": f"Bearer {token}", **headers}
        path = f"/dicom-web/studies/{study}" if study else "/dicom-web/studies"
        return client.post(path, content, content_type=kind, headers=headers)

    return post


@pytest.fixture
def fetch(client: Client, token: str) -> Callable[[str], Any]:
    return lambda path: client.get(path, headers={"authorization": f"Bearer {token}"})


def failures(answer: Any) -> list[tuple[str, int]]:
    items = Dataset.from_json(answer.content.decode()).FailedSOPSequence
    return [(str(item.ReferencedSOPInstanceUID or ""), item.FailureReason) for item in items]


def test_it_works(stow, fetch) -> None:
    data = film()
    answer = stow(as_file(data))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/dicom+json"
    body = Dataset.from_json(answer.content.decode())
    study_url = f"http://testserver/dicom-web/studies/{data.StudyInstanceUID}"
    assert body.RetrieveURL == study_url
    [item] = body.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == data.SOPInstanceUID
    assert item.RetrieveURL.startswith(f"{study_url}/series/{data.SeriesInstanceUID}/instances/")
    assert "FailedSOPSequence" not in body
    assert fetch(item.RetrieveURL.removeprefix("http://testserver")).status_code == 200
    assert fetch(f"/api/v1/studies/{data.StudyInstanceUID}").json()["status"] == "received"


def test_sending_again_succeeds_and_stores_nothing(stow, stored) -> None:
    content = film_file()
    assert [stow(content).status_code, stow(content, content).status_code] == [200, 200]
    assert Instance.objects.count() == 1
    assert len(stored()) == 1


def test_some_stored_some_not_is_202(stow) -> None:
    data = film()
    answer = stow(as_file(data), b"no film", film_file(PixelData=None, SOPInstanceUID="1.2.3"))
    assert answer.status_code == 202
    assert failures(answer) == [("", 0xC000), ("1.2.3", 0x0122)]
    assert Study.objects.get().StudyInstanceUID == data.StudyInstanceUID


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no film", 0xC000),
        (film_file()[:4000], 0xC000),
        (film_file(PixelData=None), 0x0122),
        (film_file().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0", 1), 0xC122),
    ],
    ids=["text", "cut", "no pixels", "unknown syntax"],
)
def test_where_nothing_is_stored_the_answer_is_415(stow, stored, content, reason) -> None:
    answer = stow(content)
    assert answer.status_code == 415
    assert [code for _, code in failures(answer)] == [reason]
    assert "RetrieveURL" not in Dataset.from_json(answer.content.decode())
    assert not Study.objects.exists()
    assert stored() == []


def test_another_image_under_a_known_uid_is_409(stow, stored) -> None:
    data = film()
    stow(as_file(data))
    changed = film(seed=1, SOPInstanceUID=data.SOPInstanceUID, StudyInstanceUID=data.StudyInstanceUID)
    answer = stow(as_file(changed))
    assert answer.status_code == 409
    assert failures(answer) == [(data.SOPInstanceUID, 0x0111)]
    assert len(stored()) == 3  # the other image and its picture lie aside


def test_another_patient_in_a_known_study_is_409(stow) -> None:
    data = film()
    stow(as_file(data))
    answer = stow(film_file(StudyInstanceUID=data.StudyInstanceUID, PatientID="4712"))
    assert (answer.status_code, failures(answer)[0][1]) == (409, 0xA900)


def test_the_url_may_name_the_study(stow) -> None:
    data = film()
    assert stow(as_file(data), study=data.StudyInstanceUID).status_code == 200
    answer = stow(film_file(), study=data.StudyInstanceUID)
    assert (answer.status_code, failures(answer)[0][1]) == (409, 0xA900)
    assert Study.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/dicom", 415),
        ('multipart/related; type="application/dicom"', 415),
        ('multipart/related; type="application/dicom"; boundary=""', 415),
        ('multipart/related; type="application/dicom+json"; boundary=xyz', 415),
        ('multipart/form-data; boundary="xyz"', 415),
        ("multipart/related; boundary=other", 400),
    ],
)
def test_other_bodies_are_refused(stow, kind, status) -> None:
    answer = stow(film_file(), kind=kind)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_a_body_that_ends_early_stores_nothing(stow, stored) -> None:
    whole = body_of(film_file(), film_file())
    answers = [stow(raw=raw) for raw in (whole[:-10], whole[: len(whole) // 2], b"--xyz--\r\n")]
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert stored() == []


def test_limits(stow, settings, monkeypatch, stored) -> None:
    monkeypatch.setattr(multipart, "PARTS_MAX", 2)
    assert stow(b"a", b"b", b"c").json()["code"] == "too_many_parts"
    long = b"--xyz\r\nContent-Type: " + b"a" * 5000 + b"\r\n\r\nx\r\n--xyz--\r\n"
    assert stow(raw=long).json()["code"] == "bad_multipart"
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 1
    assert stow(bytes(1024**2 + 1)).status_code == 413
    settings.LYNCEUS_UPLOAD_MAX_MB = 1
    answer = stow(bytes(1024**2 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert stored() == []


def test_who_may_store(client, make_user, site, stow) -> None:
    raw, kind = body_of(film_file()), RELATED
    assert client.post("/dicom-web/studies", raw, content_type=kind).status_code == 401
    assert stow(film_file(), authorization="Bearer wrong").status_code == 401
    other = rotate_secret(ApiClient.objects.create(site=site, name="bank", scopes=["fraud"]))
    assert stow(film_file(), authorization=f"Bearer {other}").status_code == 403
    client.force_login(make_user("fraud_analyst"))
    assert client.post("/dicom-web/studies", raw, content_type=kind).status_code == 403
    assert not Study.objects.exists()


def test_a_session_needs_its_csrf_token(make_user) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("radiologist"))
    raw = body_of(film_file())
    assert client.post("/dicom-web/studies", raw, content_type=RELATED).status_code == 403
    client.get("/radiology/upload/")
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value}
    answer = client.post("/dicom-web/studies", raw, content_type=RELATED, headers=headers)
    assert answer.status_code == 200


def test_retrieved_is_what_was_stored_byte_for_byte_and_audited(stow, fetch) -> None:
    data = film()
    content, second = as_file(data), film_file(StudyInstanceUID=data.StudyInstanceUID)
    stow(content, second)
    path = f"/dicom-web/studies/{data.StudyInstanceUID}"
    whole = b"".join(fetch(path).streaming_content)
    assert content in whole
    assert second in whole
    one = fetch(f"{path}/series/{data.SeriesInstanceUID}")
    assert "multipart/related" in one["Content-Type"]
    part = b"".join(one.streaming_content)
    assert content in part
    assert second not in part
    assert AuditEvent.objects.filter(action="study.retrieved").count() == 2
    assert fetch(f"{path}/series/1.2.3").status_code == 404
    assert fetch("/dicom-web/studies/1.2.3").status_code == 404


def test_another_sites_films_are_not_found(stow, fetch, other_site) -> None:
    data = film()
    stow(as_file(data))
    Study.objects.update(site=other_site)
    Instance.objects.update(site=other_site)
    path = f"/dicom-web/studies/{data.StudyInstanceUID}"
    instance = f"{path}/series/{data.SeriesInstanceUID}/instances/{data.SOPInstanceUID}"
    assert [fetch(url).status_code for url in (path, instance, f"{instance}/rendered")] == [404, 404, 404]
    assert stow(as_file(data)).status_code == 200
    assert Study.objects.count() == 2


def test_a_film_is_rendered_once_it_is_decoded(stow, fetch) -> None:
    data = film()
    stow(as_file(data))
    path = f"/dicom-web/studies/{data.StudyInstanceUID}/series/{data.SeriesInstanceUID}"
    path += f"/instances/{data.SOPInstanceUID}/rendered"
    assert fetch(path).status_code == 404
    analyse_instance(Instance.objects.get().pk)
    answer = fetch(path)
    assert b"".join(answer.streaming_content)[:4] == b"\x89PNG"
    assert AuditEvent.objects.filter(action="film.viewed").exists()


@pytest.mark.django_db(transaction=True)
def test_another_client_stores_and_retrieves(live_server, site: Site, token: str) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    web = DICOMwebClient(f"{live_server.url}/dicom-web", session=session)
    data = film()
    answer = web.store_instances([data, film(StudyInstanceUID=data.StudyInstanceUID)])
    assert len(answer.ReferencedSOPSequence) == 2
    back = web.retrieve_instance(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
    assert back.PixelData == data.PixelData
    assert len(web.retrieve_study(data.StudyInstanceUID)) == 2
    with pytest.raises(requests.HTTPError):
        web.store_instances([film(PixelData=None)])


def test_a_disk_that_fails_is_no_fault_of_the_film(stow, failing_disk) -> None:
    content = film_file()
    with failing_disk():
        answer = stow(content)
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert answer.json()["code"] == "storage_unavailable"
    assert answer.json()["retryable"]
    assert stow(content).status_code == 200


def test_without_the_difference_a_good_film_would_be_refused(stow, failing_disk, monkeypatch) -> None:
    monkeypatch.setattr(dicom, "OF_THE_FILE", (errno.EIO,))
    with failing_disk():
        assert stow(film_file()).status_code == 415


def test_a_stored_file_that_is_gone_does_not_damage_the_one_sent_again(stow, site) -> None:
    data = film()
    stow(as_file(data))
    film_path(site, Instance.objects.get().file_sha256).unlink()
    data.compress(RLELossless, generate_instance_uid=False)
    assert stow(as_file(data)).status_code == 503
