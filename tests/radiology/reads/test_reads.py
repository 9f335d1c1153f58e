"""Read first, reveal second: what a radiologist marks and signs, and when the model's answer opens."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.documents.services.results import make_due_results
from apps.radiology.models import Exposure, Mark, Read, ReadingPolicy, ReadState, Result, Study, StudyLock
from apps.radiology.studies.reads import Said, lines_of, said_by
from apps.radiology.studies.services.locks import take_lock
from tests.radiology.conftest import film
from tests.radiology.reads.conftest import page_of


def test_it_works(radiologist, study, press) -> None:
    """Marked, committed, opened, changed, signed; each with its time."""
    assert press(study).status_code == 302
    press(study, "keep", **{"verdict-0": "absent", "text": "Clear bases."})
    assert press(study, "commit", **{"verdict-0": "absent", "text": "Clear bases."}).status_code == 302
    page = page_of(radiologist, study)
    assert "Raised by AI: pleural effusion." in page
    assert "you differ" in page
    press(study, "sign", **{"verdict-0": "present", "side-0": "L", "text": "Small effusion."})
    read = Read.objects.get()
    assert (read.state, read.ai_exposure, read.text) == (ReadState.FINAL, Exposure.RANK, "Small effusion.")
    assert said_by(read, blind=True) == {"Effusion": Said("absent")}
    assert said_by(read) == {"Effusion": Said("present", "L")}
    assert [mark.after_reveal for mark in Mark.objects.order_by("pk")] == [False, True]
    assert read.opened_at < read.committed_at < read.signed_at
    assert not StudyLock.objects.exists()
    told = AuditEvent.objects.filter(action__startswith="read.").order_by("pk")
    assert [event.action for event in told] == ["read.begun", "read.committed", "read.signed"]


def what_spoils(client: Client, study: Study) -> list[str]:
    """Doors at which this reader could learn what the model found."""
    instance, uid = study.instances.get(), study.StudyInstanceUID
    doors = {
        "page": page_of(client, study),
        "live": client.get(f"/radiology/studies/{study.public_id}/analysis/").content.decode(),
        "worklist": client.get("/radiology/").content.decode(),
        "film": client.get(f"/radiology/instances/{instance.public_id}/status/").content.decode(),
        "api": client.get(f"/api/v1/studies/{uid}").content.decode(),
    }
    found = [name for name, text in doors.items() if ("effusion" in text.lower() and "0.83" in text)
             or "Raised by AI: " in text or "above its" in text]  # fmt: skip
    overlay = client.get(f"/radiology/instances/{instance.public_id}/attention/Effusion.png")
    return found + ["attention"] * (overlay.status_code == 200)


def test_before_the_commit_no_door_tells_what_the_model_found(radiologist, study, press) -> None:
    Study.objects.get().instances.get().analyses.get().findings.filter(label="Effusion").update(
        attention=b"x"
    )
    assert what_spoils(radiologist, study) == []
    press(study)
    assert what_spoils(radiologist, study) == []
    press(study, "commit")
    assert set(what_spoils(radiologist, study)) == {"page", "live", "worklist", "film", "api", "attention"}
    assert "raised by AI" in radiologist.get("/radiology/").content.decode()


def test_results_in_dicom_open_with_the_commit_too(radiologist, study, press, other) -> None:
    analyse_instance(study.instances.get().pk)
    Study.objects.update(complete_at=now())
    make_due_results()
    uid = study.StudyInstanceUID
    assert Result.objects.filter(kind="sr").exists()
    result = f"/radiology/results/{Result.objects.get(kind='sr').public_id}.dcm"

    def objects(client: Client) -> int:
        answer = client.get(f"/dicom-web/studies/{uid}/metadata")
        return len(json.loads(answer.getvalue()))

    assert (objects(radiologist), radiologist.get(result).status_code) == (1, 404)
    press(study)
    press(study, "commit")
    assert objects(radiologist) > 1
    assert radiologist.get(result).status_code == 200
    assert (objects(other), other.get(result).status_code) == (1, 404)


def test_a_colleagues_commit_opens_nothing_for_me(radiologist, study, press, other) -> None:
    press(study)
    press(study, "commit")
    assert what_spoils(other, study) == []


def test_without_the_guard_the_page_would_spoil_the_read(radiologist, study, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.reading.views.may_see_ai", lambda user, study: True)
    assert "page" in what_spoils(radiologist, study)


def test_programs_are_not_blinded_and_people_are_told(radiologist, study, client, token) -> None:
    door = f"/api/v1/studies/{study.StudyInstanceUID}"
    mine = radiologist.get(door).json()
    assert (mine["withheld"], mine["findings"], mine["statement"]) == (True, [], "")
    theirs = Client().get(door, headers={"authorization": f"Bearer {token}"}).json()
    assert not theirs["withheld"]
    assert theirs["findings"]


def test_where_the_site_reads_concurrently_it_is_open_and_no_blind_read(
    radiologist, study, press, concurrent
) -> None:
    assert "page" in what_spoils(radiologist, study)
    press(study)
    press(study, "commit", **{"verdict-0": "present"})
    assert Read.objects.get().ai_exposure == Exposure.FULL


def test_where_it_became_concurrent_after_the_read_began_it_is_no_blind_read(study, press, site) -> None:
    press(study)
    ReadingPolicy.objects.create(site=site, concurrent=True)
    press(study, "commit", **{"verdict-0": "present"})
    assert Read.objects.get().ai_exposure == Exposure.FULL


def test_before_any_analysis_nothing_was_known(received, press) -> None:
    study = received().study
    press(study)
    press(study, "commit")
    assert Read.objects.get().ai_exposure == Exposure.NONE


def test_what_is_not_marked_is_unknown_and_not_absent(study, press) -> None:
    press(study)
    press(study, "commit", text="No effusion.")
    read = Read.objects.get()
    assert said_by(read) == {}
    assert not any(line.differs for line in lines_of(read))


def test_a_mark_taken_back_is_unknown_again(study, press) -> None:
    press(study)
    press(study, "keep", **{"verdict-1": "present"})
    press(study, "keep")
    press(study, "keep")
    assert said_by(Read.objects.get()) == {"Nodule": Said()}
    assert Mark.objects.count() == 2  # nothing is added where nothing changed


@pytest.mark.parametrize("form", [{"verdict-0": "maybe"}, {"side-0": "L"}, {"verdict-9": "present"}])
def test_what_is_no_answer_is_none(study, press, form) -> None:
    press(study)
    press(study, "keep", **form)
    assert not Mark.objects.exclude(verdict="", side="").exists()


def test_a_draft_survives(radiologist, study, press) -> None:
    press(study)
    press(study, "keep", **{"verdict-0": "unsure", "text": "Half a sent"})
    StudyLock.objects.update(expires_at=now() - timedelta(seconds=1))
    assert "Your draft is kept" in page_of(radiologist, study)
    press(study)
    page = page_of(radiologist, study)
    assert "Half a sent" in page
    assert 'value="unsure"' in page
    assert "checked" in page


def test_signed_it_leaves_the_list_and_is_only_added_to(radiologist, study, press) -> None:
    press(study)
    refused = press(study, "sign")
    assert Read.objects.get().state == ReadState.DRAFT
    assert refused.status_code == 409
    press(study, "commit")
    press(study, "sign", text="As marked.")
    assert str(study.public_id) not in radiologist.get("/radiology/").content.decode()
    assert str(study.public_id) in radiologist.get("/radiology/?reading=signed").content.decode()
    assert str(study.public_id) in radiologist.get("/radiology/?reading=mine").content.decode()
    assert press(study, "keep", text="changed").status_code == 409
    assert press(study, "add", addendum=" ").status_code == 422
    press(study, "add", addendum="Compared with the CT of today.")
    assert Read.objects.get().state == ReadState.AMENDED
    page = page_of(radiologist, study)
    assert "As marked." in page
    assert "Compared with the CT of today." in page


def test_a_read_of_the_wrong_patient_is_retracted(radiologist, study, press) -> None:
    press(study)
    press(study, "commit")
    assert press(study, "add", addendum="Too early.", retracts="on").status_code == 409
    press(study, "sign")
    press(study, "add", addendum="Another patient's film.", retracts="on")
    assert (Read.objects.get().state, Study.objects.get().read_state) == ("retracted", "retracted")
    assert "Retracted" in page_of(radiologist, study)


def test_after_a_retraction_it_is_read_anew_and_no_longer_blind(radiologist, study, press) -> None:
    press(study)
    press(study, "commit")
    press(study, "sign")
    press(study, "add", addendum="Another patient's film.", retracts="on")
    assert "Read this study" in page_of(radiologist, study)
    press(study)
    press(study, "commit")
    assert [(read.state, read.ai_exposure) for read in Read.objects.order_by("pk")] == [
        (ReadState.RETRACTED, Exposure.RANK),
        (ReadState.PRELIMINARY, Exposure.FULL),
    ]
    assert Study.objects.get().read_state == ReadState.PRELIMINARY


def test_what_was_marked_last_is_kept_when_it_is_left(study, press) -> None:
    press(study)
    press(study, "release", **{"verdict-1": "present", "text": "Half a sent"})
    assert (Read.objects.get().text, said_by(Read.objects.get())) == (
        "Half a sent",
        {"Nodule": Said("present")},
    )
    assert not StudyLock.objects.exists()


def test_whose_is_in_question_is_neither_begun_nor_committed_nor_signed(press, arrive, site) -> None:
    data = film()
    arrive(data)
    study = Study.objects.get()
    press(study)
    data.PatientID = "9999"
    arrive(data)
    assert press(study, "commit").status_code == 409
    assert Read.objects.get().state == ReadState.DRAFT
    Read.objects.all().delete()
    press(study)
    assert not Read.objects.exists()


def test_of_another_site_there_is_nothing(press, study, other_site, make_user) -> None:
    stranger = Client()
    stranger.force_login(make_user("radiologist", site=other_site, email="x@south.example"))
    for what in ("", "keep/", "commit/", "sign/", "add/", "hold/", "release/"):
        assert stranger.post(f"/radiology/studies/{study.public_id}/read/{what}").status_code == 404
    press(study)
    assert take_lock(study, Read.objects.get().reader).by == Read.objects.get().reader
