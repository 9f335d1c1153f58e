"""The browser's door: each file of a request, and each film of a zip, gets its own answer."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection
from django.test import Client
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from apps.audit.models import AuditEvent
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import clear_incoming, film_path, incoming, incoming_folder
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.models import Instance, Status, Study
from ml.radiology import parsing
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import read_header
from tests.radiology.conftest import as_file, film, film_file

ONE_A_SITE = 'CONSTRAINT instance_per_site UNIQUE (site_id, "SOPInstanceUID")'
NO_PIXELS = {"PixelData": None}


def deflate_bomb() -> bytes:
    """A film whose data set inflates to 3 MiB from a few kilobytes."""
    data = film(PixelData=bytes(3 * 1024**2), Rows=1024, Columns=1536)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return as_file(data)


def test_it_works(radiologist, send, stored) -> None:
    content = film_file()
    [row] = send(content)
    assert (row["name"], row["state"]) == ("film.dcm", "queued")
    assert radiologist.get(row["url"]).status_code == 200
    status = radiologist.get(row["status_url"]).json()
    assert (status["state"], status["code"], status["done"]) == ("waiting", "received", False)
    instance = Instance.objects.get()
    assert film_path(instance.site, instance.file_sha256).read_bytes() == content
    assert stored() == [f"{instance.file_sha256}.dcm"]
    assert AuditEvent.objects.filter(action="study.received", subject=f"study:{instance.study_id}").exists()


def test_without_a_script_the_page_itself_answers(radiologist) -> None:
    assert "Drop films or folders here" in radiologist.get("/radiology/upload/").content.decode()
    files = [SimpleUploadedFile("a.dcm", film_file()), SimpleUploadedFile("b.dcm", b"no film")]
    page = radiologist.post("/radiology/upload/", {"files": files}).content.decode()
    assert "a.dcm" in page
    assert "This is not a DICOM file." in page


def test_the_store_is_private_and_names_no_patient(send, folders, stored) -> None:
    send(film_file())
    for folder in (folders / "films", folders / "films" / "incoming"):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not any("4711" in name or "Doe" in name for name in stored())
    [path] = (folders / "films").rglob("*.dcm")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_dicom"),
        (b"not a film at all" * 50, "not_dicom"),
        (film_file()[:4000], "truncated"),
        (film_file(**NO_PIXELS), "no_pixels"),
        (film_file(PixelData=b""), "no_pixels"),
        (film_file(StudyInstanceUID=""), "bad_header"),
        (film_file(SOPInstanceUID="1.2.x"), "bad_header"),
        (film_file(Rows=0), "bad_header"),
        (film_file(Rows=60_000, Columns=60_000), "too_large"),
    ],
    ids=["empty", "text", "cut", "no pixels", "empty pixels", "no study", "bad uid", "no rows", "giant"],
)
def test_what_is_no_film_is_refused_and_leaves_nothing(send, stored, content, code) -> None:
    [row] = send(content)
    assert (row["state"], row["code"]) == ("refused", code)
    assert len(row["message"]) > 10
    assert not Study.objects.exists()
    assert stored() == []


def test_an_unknown_transfer_syntax_is_refused_at_the_door(send, stored) -> None:
    content = film_file().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0", 1)
    assert [row["code"] for row in send(content)] == ["unsupported_transfer_syntax"]
    assert stored() == []


def test_a_deflate_bomb_is_refused_and_only_by_its_limit(send, settings, stored) -> None:
    content = deflate_bomb()
    assert len(content) < 20_000
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 1
    assert [row["code"] for row in send(content)] == ["bomb"]
    assert stored() == []
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 256
    assert [row["state"] for row in send(content)] == ["queued"]


def test_a_cut_deflate_stream_is_truncated(send) -> None:
    content = deflate_bomb()
    assert [row["code"] for row in send(content[: len(content) // 2])] == ["truncated"]


def held_to_read_the_header_of(content: bytes, tmp_path: Path) -> int:
    path = tmp_path / "deflated.dcm"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert read_header(path).Rows == 4096
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_deflated_film_is_not_held_whole_to_read_its_header(tmp_path, monkeypatch) -> None:
    data = film(PixelData=bytes(4096 * 4096 * 2), Rows=4096, Columns=4096)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = as_file(data)
    assert held_to_read_the_header_of(content, tmp_path) < 12 * 1024**2
    monkeypatch.setattr(parsing, "HEADER_BYTES_MAX", 2**40)
    assert held_to_read_the_header_of(content, tmp_path) > 32 * 1024**2


def test_a_deflated_header_longer_than_is_held_is_refused(send, monkeypatch) -> None:
    data = film(ImageComments="x" * 9000)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = as_file(data)
    monkeypatch.setattr(parsing, "HEADER_BYTES_MAX", 4096)
    assert [row["code"] for row in send(content)] == ["bad_header"]
    monkeypatch.undo()
    assert [row["state"] for row in send(content)] == ["queued"]


def test_a_film_larger_than_may_be_is_refused(send, settings) -> None:
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 1
    content = film_file(PixelData=bytes(2 * 1024**2), Rows=1024, Columns=1024)
    assert [row["code"] for row in send(content)] == ["too_large"]


def test_sending_again_changes_nothing(send, stored) -> None:
    content = film_file()
    first, again = send(content)[0], send(content)[0]
    assert (again["state"], again["url"]) == ("duplicate", first["url"])
    assert Instance.objects.count() == 1
    assert len(stored()) == 1
    assert AuditEvent.objects.filter(action="study.received").count() == 1


def test_the_same_image_written_in_another_way_is_no_conflict(send) -> None:
    data = film()
    send(as_file(data))
    data.compress(RLELossless, generate_instance_uid=False)
    assert [row["state"] for row in send(as_file(data))] == ["duplicate"]
    data.decompress(generate_instance_uid=False)
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert [row["state"] for row in send(as_file(data))] == ["duplicate"]


def test_a_known_study_of_another_patient_is_refused(send, stored) -> None:
    data = film()
    send(as_file(data))
    [row] = send(film_file(StudyInstanceUID=data.StudyInstanceUID, PatientID="4712"))
    assert row["code"] == "patient_mismatch"
    assert len(stored()) == 1


def test_two_sites_may_hold_the_same_film(send, other_site, folders) -> None:
    content = film_file()
    send(content)
    with incoming() as path:
        path.write_bytes(content)
        taken = ingest_instance(path, sender=Sender(other_site, "c-store"))
    assert taken.outcome == "stored"
    assert Study.objects.filter(site=other_site).count() == 1
    assert len(list((folders / "films").rglob("*.dcm"))) == 2


def test_nothing_is_kept_where_the_database_fails(received, stored, monkeypatch) -> None:
    def fail(*args, **kwargs) -> None:
        raise RuntimeError("the audit row could not be written")

    monkeypatch.setattr("apps.radiology.intake.services.ingest.record", fail)
    with pytest.raises(RuntimeError):
        received()
    assert not Study.objects.exists()
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_store_one_instance(site, make_user) -> None:
    content, outcomes = film_file(), []
    start = threading.Barrier(2)

    def take() -> None:
        try:
            with incoming() as path:
                path.write_bytes(content)
                start.wait(10)
                outcomes.append(ingest_instance(path, sender=Sender(site, "stow")).outcome)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["duplicate", "stored"]
    instance = Instance.objects.get()
    assert film_path(site, instance.file_sha256).read_bytes() == content


def test_a_disk_that_fails_is_said_so_and_not_the_films_fault(radiologist, failing_disk) -> None:
    with failing_disk():
        answer = radiologist.post(
            "/radiology/upload/",
            {"files": [SimpleUploadedFile("film.dcm", film_file())]},
            headers={"accept": "application/json"},
        )
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


def test_a_request_without_files_or_too_large_is_refused(radiologist, settings) -> None:
    asked = {"accept": "application/json"}
    answer = radiologist.post("/radiology/upload/", headers=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_files")
    settings.LYNCEUS_UPLOAD_MAX_MB = 0
    files = {"files": SimpleUploadedFile("a.dcm", film_file())}
    assert radiologist.post("/radiology/upload/", files, headers=asked).status_code == 400


def test_a_session_needs_its_csrf_token(make_user) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("radiologist"))
    files = {"files": SimpleUploadedFile("a.dcm", film_file())}
    assert client.post("/radiology/upload/", files).status_code == 403
    assert not Study.objects.exists()
    client.get("/radiology/upload/")
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value}
    files = {"files": SimpleUploadedFile("a.dcm", film_file())}
    assert client.post("/radiology/upload/", files, headers=headers).status_code == 200
    assert Study.objects.get().status == Status.RECEIVED


@pytest.mark.parametrize("role", ["fraud_analyst", "ml_admin", "auditor", "operator"])
def test_other_roles_and_strangers_stay_out(client, make_user, role) -> None:
    files = {"files": SimpleUploadedFile("a.dcm", film_file())}
    assert client.post("/radiology/upload/", files).status_code == 302
    client.force_login(make_user(role))
    assert client.post("/radiology/upload/", files).status_code == 403
    assert not Study.objects.exists()


def test_what_a_dead_receiver_left_is_cleared_after_a_while(folders) -> None:
    left = incoming_folder() / "half"
    left.write_bytes(b"half a film")
    assert clear_incoming(3600) == 0
    assert clear_incoming(-60) == 1
    assert not left.exists()


def test_refusals_say_nothing_of_the_patient(send) -> None:
    for content in (film_file(**NO_PIXELS), film_file()[:4000], film_file(Rows=0)):
        [row] = send(content)
        assert "Doe" not in row["message"]
        assert "4711" not in row["message"]


def test_an_expected_study_is_checked(site, folders) -> None:
    with incoming() as path:
        path.write_bytes(film_file())
        with pytest.raises(DicomRefused, match="another study"):
            ingest_instance(path, sender=Sender(site, "stow"), study_uid="1.2.3")


@pytest.mark.django_db(transaction=True)
def test_known_again_by_its_uid_and_else_by_the_database(send, monkeypatch) -> None:
    """Of the two guards the second alone lets nothing in twice; without both there would be two."""
    content = film_file()
    send(content)
    monkeypatch.setattr("apps.radiology.intake.services.ingest._known", lambda sender, file: None)
    with pytest.raises(IntegrityError):
        send(content)
    assert Instance.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE radiology_instance DROP CONSTRAINT instance_per_site")
    try:
        send(content)
        assert Instance.objects.count() == 2
    finally:
        Instance.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE radiology_instance ADD {ONE_A_SITE}")
