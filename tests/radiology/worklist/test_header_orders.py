"""What nobody has set of an order is as the films' headers have it."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from apps.audit.models import AuditEvent
from apps.radiology.intake.services import ingest
from apps.radiology.models import Study
from tests.radiology.conftest import film
from tests.radiology.dicomweb import JSON, read, study_of
from tests.radiology.test_rejections import QUALITY, note
from tests.radiology.worklist.conftest import ids, row_of

SAID = {
    "RequestedProcedurePriority": "STAT",
    "ReasonForTheRequestedProcedure": "Pneumothorax?",
    "CurrentPatientLocation": "ER 3",
}


def requested(**attributes: str) -> list[Dataset]:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return [item]


def order_of(study: Study) -> tuple[str, str, str]:
    study.refresh_from_db()
    return study.priority, study.location, study.clinical_question


def page_of(client, study: Study) -> str:
    return " ".join(client.get(f"/radiology/studies/{study.public_id}/").content.decode().split())


def test_it_works(radiologist, received) -> None:
    """The list ranks by it and says it, and the study's page tells where it came from."""
    routine, urgent = received(seed=1).study, received(**SAID, seed=2).study
    page = radiologist.get("/radiology/")
    assert ids(page) == [str(urgent.public_id), str(routine.public_id)]
    assert all(text in row_of(page, urgent) for text in ("STAT", "ER 3", "Pneumothorax?"))
    assert "priority, location, question from the film's header" in page_of(radiologist, urgent)
    assert "from the film's header" not in page_of(radiologist, routine)
    told = AuditEvent.objects.filter(action="study.received").latest("pk")
    assert told.detail["order"] == ["priority", "location", "clinical_question"]
    assert "ER 3" not in str(told.detail)


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ({"RequestedProcedurePriority": "HIGH"}, ("urgent", "", "")),
        ({"RequestedProcedurePriority": "LOW"}, ("routine", "", "")),
        ({"RequestedProcedurePriority": "now!"}, ("routine", "", "")),
        ({"AdmittingDiagnosesDescription": ["Cough", "", "Fever"]}, ("routine", "", "Cough, Fever")),
        (
            {"AdmittingDiagnosesDescription": "Cough", "ReasonForTheRequestedProcedure": "Effusion?"},
            ("routine", "", "Effusion?"),
        ),
        ({"InstitutionalDepartmentName": "Radiology"}, ("routine", "Radiology", "")),
        (
            {"InstitutionalDepartmentName": "Radiology", "CurrentPatientLocation": "Ward 2"},
            ("routine", "Ward 2", ""),
        ),
        (
            {"RequestAttributesSequence": requested(ReasonForTheRequestedProcedure="Tube?")},
            ("routine", "", "Tube?"),
        ),
        # Untrusted: one line, nothing that turns the text beside it round, cut to what a PATCH may set.
        ({"CurrentPatientLocation": "ER\r\n\u202e3 \x07"}, ("routine", "ER 3", "")),
        ({"CurrentPatientLocation": "x" * 90}, ("routine", f"{'x' * 63}…", "")),
        ({"ReasonForTheRequestedProcedure": " \t "}, ("routine", "", "")),
    ],
)
def test_what_is_taken_and_how(received, header, order) -> None:
    assert order_of(received(SpecificCharacterSet="ISO_IR 192", **header).study) == order


def test_markup_is_text(radiologist, received) -> None:
    study = received(ReasonForTheRequestedProcedure="<script>alert(1)</script>").study
    assert "&lt;script&gt;alert(1)" in page_of(radiologist, study)


def test_a_patch_wins_before_and_after(radiologist, received, order) -> None:
    study = received(**SAID).study
    uid = study.StudyInstanceUID
    order(uid, priority="routine", location="")
    assert order_of(study) == ("routine", "", "Pneumothorax?")
    received(StudyInstanceUID=uid, seed=1, **{**SAID, "ReasonForTheRequestedProcedure": "Tube?"})
    assert order_of(study) == ("routine", "", "Pneumothorax?")  # the first film that said it is believed
    assert '<span class="muted">question from the film\'s header</span>' in page_of(radiologist, study)
    order(uid, clinical_question="Pneumothorax?")  # the same words, said by somebody
    assert "from the film's header" not in page_of(radiologist, study)


def test_a_later_film_fills_what_none_said_before(received) -> None:
    study = received().study
    received(StudyInstanceUID=study.StudyInstanceUID, seed=1, **SAID)
    assert order_of(study) == ("stat", "ER 3", "Pneumothorax?")
    assert study.rank_at < study.received_at


def test_a_rejected_film_says_nothing(arrive, take) -> None:
    study = Study.objects.get(StudyInstanceUID=take().StudyInstanceUID)
    late = film(StudyInstanceUID=study.StudyInstanceUID, seed=3, **SAID)
    arrive(note(QUALITY, late))  # the note comes first
    arrive(late)
    assert order_of(study) == ("routine", "", "")


def test_without_the_look_into_the_header_it_is_routine(received, monkeypatch) -> None:
    monkeypatch.setattr(ingest, "take_order", lambda study, said: [])
    assert order_of(received(**SAID).study) == ("routine", "", "")


def test_who_referred_and_the_study_id_are_kept_and_answered(ask, take) -> None:
    data = take(ReferringPhysicianName="Curie^Marie", StudyID="S 17")
    take(seed=2)
    for query in ({"ReferringPhysicianName": "curie*"}, {"StudyID": "S 17"}, {"00080090": "CURIE^MARIE^"}):
        [row] = read(ask("studies", JSON, query))
        assert row["0020000D"]["Value"] == [data.StudyInstanceUID]
        assert row["00080090"] == {"vr": "PN", "Value": [{"Alphabetic": "Curie^Marie"}]}
        assert row["00200010"] == {"vr": "SH", "Value": ["S 17"]}
    [said] = read(ask(f"{study_of(data)}/metadata", JSON))
    assert said["00080090"]["Value"] == [{"Alphabetic": "Curie^Marie"}]
    assert said["00200010"]["Value"] == ["S 17"]
