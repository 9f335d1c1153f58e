"""Two numbers of one patient, and a study under the wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.radiology.intake.services import ingest
from apps.radiology.models import IdentityChange, PatientMerge, Study
from apps.radiology.studies.services import identity
from tests.radiology.conftest import as_file, film
from tests.radiology.test_corrections import OTHER, again
from tests.radiology.test_rejections import SAFETY, note


def merge(client: Client, source: str, target: str, **more: str) -> Any:
    form = {"from_id": source, "into_id": target, "note": "registered twice", **more}
    return client.post("/radiology/patients/", form, follow=True)


def undo(client: Client, merge: PatientMerge) -> Any:
    return client.post(f"/radiology/patients/merges/{merge.pk}/undo/", follow=True)


def numbers() -> list[str]:
    return list(Study.objects.order_by("pk").values_list("PatientID", flat=True))


@pytest.fixture
def two(arrive) -> None:
    """A study each of patients 4711 (Doe) and 4712 (Roe)."""
    arrive(film(StudyDate="20260101"))
    arrive(film(seed=1, StudyDate="20260102", **OTHER))


def test_it_works(two, radiologist) -> None:
    page = merge(radiologist, "4711", "4712").content.decode()
    assert "4711" in page
    assert "registered twice" in page
    assert numbers() == ["4712", "4712"]
    study = Study.objects.first()
    assert study.PatientName == "Roe^Richard"
    assert study.AccessionNumber == "A1"  # the study's own
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "Patient or study data merged by" in page
    assert "Other studies of this patient" in page
    assert AuditEvent.objects.get(action="patients.merged").detail == {"studies": 1}
    assert "4711" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))

    assert "1 study given back" in undo(radiologist, PatientMerge.objects.get()).content.decode()
    assert numbers() == ["4711", "4712"]
    assert Study.objects.first().PatientName == "Doe^Jane"
    assert AuditEvent.objects.filter(action="patients.unmerged").exists()
    assert undo(radiologist, PatientMerge.objects.get()).status_code == 409


def test_what_comes_later_follows_and_is_given_back_too(two, radiologist, arrive) -> None:
    merge(radiologist, "4711", "4712")
    late = film(seed=2)
    arrive(late)
    arrive(film(seed=3, StudyInstanceUID=late.StudyInstanceUID))  # the same study, still under the old number
    arrive(film(seed=4, StudyInstanceUID=late.StudyInstanceUID, **OTHER))  # and under the new one
    assert numbers() == ["4712", "4712", "4712"]
    undo(radiologist, PatientMerge.objects.get())
    assert numbers() == ["4711", "4712", "4711"]


def test_without_the_look_at_merges_a_late_study_would_be_the_old_patients(
    two,
    radiologist,
    arrive,
    monkeypatch,
) -> None:
    merge(radiologist, "4711", "4712")
    monkeypatch.setattr(ingest, "follow_merges", lambda *args, **kwargs: None)
    arrive(film(seed=2))
    assert numbers()[-1] == "4711"


def test_merges_one_after_the_other_are_undone_in_any_order(two, radiologist, arrive) -> None:
    merge(radiologist, "4711", "4712")
    merge(radiologist, "4712", "4713")
    arrive(film(seed=2))
    assert numbers() == ["4713"] * 3
    first, second = PatientMerge.objects.order_by("pk")
    undo(radiologist, first)
    assert numbers() == ["4711", "4713", "4711"]
    undo(radiologist, second)
    assert numbers() == ["4711", "4712", "4711"]


def test_a_correction_under_the_merged_number_is_the_others(two, radiologist, arrive) -> None:
    merge(radiologist, "4711", "4712")
    data = film(seed=2, PatientID="4713")
    arrive(data)
    arrive(again(data, seed=2), trusted=True)
    assert numbers() == ["4712"] * 3


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("4711", "4713", "merged into another already"),
        ("4712", "4711", "into itself"),
        ("4714", "4714", "two different patients"),
        ("", "4711", "required"),
        ("x" * 257, "4711", "at most 256"),
    ],
)
def test_merges_that_make_no_sense_are_refused(two, radiologist, source, target, says) -> None:
    merge(radiologist, "4711", "4712")
    answer = merge(radiologist, source, target)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert PatientMerge.objects.count() == 1


def test_the_issuer_is_part_of_who_it_is(two, radiologist, arrive) -> None:
    arrive(film(seed=2, IssuerOfPatientID="SOUTH"))
    merge(radiologist, "4711", "4712", from_issuer="SOUTH")
    assert numbers() == ["4711", "4712", "4712"]
    assert "in-question" not in str(IdentityChange.objects.get().after)


def test_another_site_is_another_world(two, radiologist, other_site) -> None:
    Study.objects.filter(PatientID="4711").update(site=other_site)
    merge(radiologist, "4711", "4712")
    assert numbers() == ["4711", "4712"]


def move(client: Client, study: Study, **form: str) -> Any:
    return client.post(f"/radiology/studies/{study.public_id}/move/", form, follow=True)


def test_a_study_is_moved_to_a_known_patient(two, radiologist) -> None:
    page = move(radiologist, Study.objects.first(), patient_id="4712").content.decode()
    assert "Patient or study data moved by" in page
    study = Study.objects.first()
    assert (study.PatientID, study.PatientName, study.AccessionNumber) == ("4712", "Roe^Richard", "A1")
    again_ = move(radiologist, study, patient_id="4712")
    assert again_.status_code == 422
    assert "this patient&#x27;s already" in again_.content.decode()


def test_a_study_is_moved_to_a_new_patient_and_keeps_no_name_of_the_old(two, radiologist) -> None:
    move(radiologist, Study.objects.first(), patient_id="4799", PatientName="New^Nina", PatientSex="F")
    study = Study.objects.first()
    assert (study.PatientID, study.PatientName, study.PatientSex) == ("4799", "New^Nina", "F")
    move(radiologist, study, patient_id="4800")
    assert Study.objects.first().PatientName == ""
    answer = move(radiologist, study, patient_id="4801", PatientBirthDate="yesterday")
    assert answer.status_code == 422


def test_what_a_person_moved_is_not_given_back_by_undoing_a_merge(two, radiologist) -> None:
    merge(radiologist, "4711", "4712")
    move(radiologist, Study.objects.first(), patient_id="4713")
    undo(radiologist, PatientMerge.objects.get())
    assert numbers() == ["4713", "4712"]


def test_late_films_join_a_study_that_was_moved(radiologist, arrive) -> None:
    data = film()
    arrive(data)
    move(radiologist, Study.objects.get(), patient_id="4712")
    arrive(film(seed=1, StudyInstanceUID=data.StudyInstanceUID))
    assert numbers() == ["4712"]
    assert Study.objects.get().instances.count() == 2


def test_without_the_history_they_would_be_refused(radiologist, arrive, monkeypatch) -> None:
    from ml.radiology.contracts import DicomRefused

    data = film()
    arrive(data)
    move(radiologist, Study.objects.get(), patient_id="4712")
    monkeypatch.setattr(identity.Study, "identity_changes", IdentityChange.objects.none())
    with pytest.raises(DicomRefused, match="another PatientID"):
        arrive(film(seed=1, StudyInstanceUID=data.StudyInstanceUID))


def test_other_studies_leave_out_the_rejected_and_those_in_question(
    two,
    radiologist,
    arrive,
    send,
) -> None:
    rejected, questioned = film(seed=2, StudyDescription="REJECTED"), film(seed=3, StudyDescription="ASKED")
    third = film(seed=4, StudyDescription="THIRD")
    for one in (rejected, questioned, third):
        arrive(one)
    send(as_file(note(SAFETY, rejected)))
    arrive(again(questioned, seed=3, **OTHER))
    page = radiologist.get(f"/radiology/studies/{Study.objects.first().public_id}/").content.decode()
    assert "THIRD" in page
    assert "REJECTED" not in page
    assert "ASKED" not in page


def test_studies_without_a_number_are_nobodys(radiologist, arrive) -> None:
    arrive(film(PatientID="", StudyDescription="ONE"))
    arrive(film(seed=1, PatientID="", StudyDescription="TWO"))
    page = radiologist.get(f"/radiology/studies/{Study.objects.first().public_id}/").content.decode()
    assert "TWO" not in page
