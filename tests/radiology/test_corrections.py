"""The same pixels sent again under another header: what a PACS does to mend a wrong patient."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pydicom.dataset import Dataset

from apps.accounts.models import ApiClient
from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.common.services.senders import node_sender
from apps.radiology.common.store import film_path
from apps.radiology.intake.services import resends
from apps.radiology.models import Correction, IdentityChange, Instance, Status, Study
from ml.radiology.contracts import DicomRefused
from tests.radiology.conftest import as_file, film

OTHER = {"PatientID": "4712", "PatientName": "Roe^Richard", "AccessionNumber": "A2"}


def again(data: Dataset, **changes: Any) -> Dataset:
    """The same film with other attributes."""
    uids = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    return film(**{name: getattr(data, name) for name in uids}, **changes)


def decide(client: Client, what: str, correction: Correction | None = None) -> Any:
    correction = correction or Correction.objects.get()
    return client.post(f"/radiology/corrections/{correction.public_id}/{what}/", follow=True)


def test_it_works(send, radiologist, client, token, folders) -> None:
    data = film()
    send(as_file(data))
    study, before = Study.objects.get(), Instance.objects.get()
    sent = as_file(again(data, **OTHER))
    [row] = send(sent)
    assert (row["state"], row["tone"]) == ("in_question", "attention")

    assert Study.objects.get().PatientID == "4711"
    api = f"/api/v1/studies/{data.StudyInstanceUID}"
    asked = {"authorization": f"Bearer {token}"}
    assert client.get(api, headers=asked).json()["identity_in_question"] is True
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "do not read it before somebody accepts" in page
    assert "Roe^Richard" in page
    assert "whose is in question" in radiologist.get("/radiology/").content.decode()

    page = decide(radiologist, "accept").content.decode()
    assert "do not read it" not in page
    assert "Patient or study data corrected by" in page
    study.refresh_from_db()
    assert (study.PatientID, study.PatientName, study.AccessionNumber) == ("4712", "Roe^Richard", "A2")
    wado = client.get(f"/dicom-web/studies/{data.StudyInstanceUID}", headers=asked)
    assert sent in b"".join(wado.streaming_content)
    assert client.get(api, headers=asked).json()["identity_in_question"] is False
    assert film_path(study.site, before.file_sha256).read_bytes() == as_file(data)  # both are kept
    correction = Correction.objects.get()
    assert (correction.before["PatientID"], correction.after["PatientID"]) == ("4711", "4712")
    assert correction.decided_by.role == "radiologist"
    change = IdentityChange.objects.get()
    assert (change.before["PatientID"], change.after["PatientID"]) == ("4711", "4712")
    told = AuditEvent.objects.get(action="study.identity_changed")
    assert "PatientID" in told.detail["fields"]
    assert "4712" not in str(told.detail)


def test_the_open_page_hears_of_it(send, radiologist) -> None:
    data = film()
    send(as_file(data))
    study = Study.objects.get()
    live = f"/radiology/studies/{study.public_id}/changes/"
    seen = {"seen": study.changed_at.isoformat()}
    assert radiologist.get(live, seen).status_code == 204
    send(as_file(again(data, **OTHER)))
    assert "in question" in radiologist.get(live, seen).content.decode()


def test_refused_it_is_not_asked_again(send, radiologist, arrive) -> None:
    data = film()
    send(as_file(data))
    send(as_file(again(data, **OTHER)))
    assert "Refused" in decide(radiologist, "refuse").content.decode()
    assert Study.objects.get().PatientID == "4711"
    assert send(as_file(again(data, **OTHER)))[0]["state"] == "duplicate"
    assert Correction.objects.get().state == "refused"
    assert AuditEvent.objects.filter(action="correction.refused").exists()
    assert arrive(again(data, **OTHER), trusted=True).outcome == "corrected"


def test_what_waits_already_is_not_asked_twice(send) -> None:
    data = film()
    send(as_file(data))
    rows = [send(as_file(again(data, **OTHER)))[0]["state"] for _ in range(2)]
    assert rows == ["in_question", "in_question"]
    assert Correction.objects.count() == 1


def test_a_decision_is_made_once(send, radiologist) -> None:
    data = film()
    send(as_file(data))
    send(as_file(again(data, **OTHER)))
    decide(radiologist, "refuse")
    assert decide(radiologist, "accept").status_code == 409
    assert Study.objects.get().PatientID == "4711"


def test_an_operator_decides_too_on_the_page_of_changes(send, client, make_user) -> None:
    data = film()
    send(as_file(data))
    send(as_file(again(data, **OTHER)))
    client.force_login(make_user("operator"))
    assert "Roe^Richard" in client.get("/radiology/changes/").content.decode()
    assert "No correction waits" in decide(client, "accept").content.decode()
    assert Study.objects.get().PatientID == "4712"


def test_deciding_needs_a_csrf_token(send, make_user) -> None:
    data = film()
    send(as_file(data))
    send(as_file(again(data, **OTHER)))
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("operator"))
    assert decide(client, "accept").status_code == 403
    assert Study.objects.get().PatientID == "4711"


def test_a_trusted_source_corrects_at_once_and_another_does_not(arrive) -> None:
    data = film()
    arrive(data)
    assert arrive(again(data, **OTHER)).outcome == "waits"
    assert Study.objects.get().PatientID == "4711"
    assert arrive(again(data, **OTHER), trusted=True).outcome == "corrected"
    assert Study.objects.get().PatientID == "4712"
    assert Correction.objects.get().state == "applied"
    assert IdentityChange.objects.get().sender == "PACS"


def test_without_the_question_of_trust_anybody_would_correct(arrive, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.intake.services.corrections._follows", lambda *_: True)
    data = film()
    arrive(data)
    arrive(again(data, **OTHER))
    assert Study.objects.get().PatientID == "4712"


def test_nobody_is_trusted_until_an_operator_says_so(site, client, token) -> None:
    from apps.radiology.models import DicomNode

    node = DicomNode.objects.create(site=site, AETitle="PACS")
    assert not node_sender(node).trusted
    data = film()
    kind = 'multipart/related; type="application/dicom"; boundary=xyz'

    def stow(data: Dataset) -> int:
        body = b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + as_file(data) + b"\r\n--xyz--\r\n"
        asked = {"authorization": f"Bearer {token}"}
        return client.post("/dicom-web/studies", body, content_type=kind, headers=asked).status_code

    assert [stow(data), stow(again(data, **OTHER))] == [200, 200]
    assert Study.objects.get().PatientID == "4711"
    ApiClient.objects.update(trusted_for_corrections=True)
    assert stow(again(data, PatientID="4713")) == 200
    assert Study.objects.get().PatientID == "4713"


def test_one_decision_covers_a_study_sent_film_by_film(arrive, radiologist) -> None:
    films = [film()]
    films += [film(seed=n, StudyInstanceUID=films[0].StudyInstanceUID) for n in (1, 2)]
    for one in films:
        arrive(one)
    for seed, one in enumerate(films[:2]):
        arrive(again(one, seed=seed, **OTHER))
    page = radiologist.get("/radiology/changes/").content.decode()
    assert page.count("Accept the correction") == 1
    assert "2 films" in page
    decide(radiologist, "accept", Correction.objects.first())
    assert set(Correction.objects.values_list("state", flat=True)) == {"applied"}
    # The third says nothing new: the study is the other patient's already.
    assert arrive(again(films[2], seed=2, **OTHER)).outcome == "corrected"
    assert IdentityChange.objects.count() == 1


def test_the_header_that_was_superseded_comes_back_only_from_a_trusted_source(arrive) -> None:
    data = film()
    arrive(data)
    arrive(again(data, **OTHER), trusted=True)
    assert arrive(data).outcome == "duplicate"
    assert Study.objects.get().PatientID == "4712"
    assert arrive(data, trusted=True).outcome == "corrected"
    assert Study.objects.get().PatientID == "4711"
    assert Instance.objects.count() == 1


def test_a_film_corrected_into_another_study_moves(arrive) -> None:
    data, other = film(), film(seed=1, PatientID="4712")
    arrive(data)
    arrive(other)
    moved = again(data, PatientID="4712")
    moved.StudyInstanceUID = other.StudyInstanceUID
    assert arrive(moved, trusted=True).outcome == "corrected"
    assert Study.objects.get(PatientID="4712").instances.count() == 2
    assert Study.objects.get(PatientID="4711").instances.count() == 0


def test_a_film_is_not_corrected_into_the_study_of_a_third_patient(arrive, radiologist) -> None:
    data, other = film(), film(seed=1, PatientID="4713")
    arrive(data)
    arrive(other)
    moved = again(data, PatientID="4712")
    moved.StudyInstanceUID = other.StudyInstanceUID
    assert arrive(moved, trusted=True).outcome == "waits"
    assert decide(radiologist, "accept").status_code == 409
    assert Instance.objects.filter(study__PatientID="4713").count() == 1


def test_a_new_film_of_another_patient_needs_a_trusted_source(arrive) -> None:
    data = film()
    arrive(data)
    late = film(seed=1, StudyInstanceUID=data.StudyInstanceUID, **OTHER)
    with pytest.raises(DicomRefused, match="another PatientID"):
        arrive(late)
    assert arrive(late, trusted=True).outcome == "stored"
    assert Study.objects.get().PatientID == "4712"
    # The modality still sends what its worklist said.
    assert arrive(film(seed=2, StudyInstanceUID=data.StudyInstanceUID)).outcome == "stored"
    assert Study.objects.get().PatientID == "4712"
    assert Study.objects.get().instances.count() == 3


def test_what_was_found_stays_and_the_picture_too(received, judged, arrive, radiologist) -> None:
    data = film()
    instance = received(as_file(data))
    analyse_instance(instance.pk)
    judged(instance, Effusion=(0.8, 0.4))
    arrive(again(data, **OTHER), trusted=True)
    instance.refresh_from_db()
    assert instance.status == Status.ANALYSED
    assert Study.objects.get().raised_by == ["Effusion"]
    assert radiologist.get(f"/radiology/instances/{instance.public_id}/image.png").status_code == 200


def test_another_view_is_judged_again(received, judged, arrive) -> None:
    data = film()
    instance = received(as_file(data))
    analyse_instance(instance.pk)
    judged(instance, Effusion=(0.8, 0.4))
    arrive(again(data, ViewPosition="LL"), trusted=True)
    instance.refresh_from_db()
    assert instance.status == Status.RECEIVED
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert instance.status == Status.NOT_ANALYSED
    assert Study.objects.get().raised_by == []


def test_what_waits_is_shown_and_applied_against_what_is_now(received, judged, arrive, radiologist) -> None:
    data = film()
    instance = received(as_file(data))
    judged(instance, Effusion=(0.8, 0.4))
    arrive(again(data, PatientID="4712"))
    arrive(again(data, PatientID="4713", ViewPosition="LL"), trusted=True)
    judged(instance, Effusion=(0.8, 0.4))
    page = radiologist.get("/radiology/changes/").content.decode()
    assert "4713" in page
    assert "4711" not in page
    decide(radiologist, "accept", Correction.objects.get(state="waiting"))
    instance.refresh_from_db()
    assert (Study.objects.get().PatientID, instance.ViewPosition) == ("4712", "PA")
    assert instance.status == Status.RECEIVED  # it is frontal again: to be judged anew


def test_other_data_of_the_film_alone_leave_the_identity_out_of_question(arrive, radiologist) -> None:
    data = film()
    arrive(data)
    assert arrive(again(data, ViewPosition="AP")).outcome == "waits"
    page = radiologist.get(f"/radiology/studies/{Study.objects.get().public_id}/").content.decode()
    assert "Other data were sent" in page
    assert "in question" not in page


@pytest.mark.parametrize("frames", [{"NumberOfFrames": 2, "Rows": 48}, {"PixelData": bytes(100)}])
def test_frames_and_what_cannot_be_decoded_are_compared_byte_by_byte(arrive, frames) -> None:
    data = film(**frames)
    arrive(data)
    assert arrive(again(data, **OTHER, **frames), trusted=True).outcome == "corrected"
    assert Study.objects.get().PatientID == "4712"
    with pytest.raises(DicomRefused, match="kept aside"):
        arrive(again(data, **{**frames, "PixelData": bytes(96 * 80 * 2 - 4)}), trusted=True)


def test_without_the_comparison_other_pixels_would_pass_for_a_correction(arrive, monkeypatch) -> None:
    monkeypatch.setattr(resends, "_same_pixels", lambda *_: True)
    data = film()
    arrive(data)
    assert arrive(again(data, seed=1, **OTHER)).outcome == "waits"
