"""A signed read as a DICOM report: verified, amended, taken back; read by programs of others."""

from __future__ import annotations

import io
import json
import subprocess
from datetime import datetime

import pytest
from django.db.models import Q
from django.test import Client
from highdicom.sr import EnhancedSR
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from apps.audit.models import AuditEvent
from apps.core.sweep import sweep_all
from apps.radiology.common.store import film_path
from apps.radiology.documents.services import documents
from apps.radiology.models import Mark, Read, ReportDocument, ReportPolicy
from apps.radiology.tasks import make_reports
from ml.radiology.rejection import read_rejection
from ml.radiology.report import PRESENCE, SECTIONS, Marked, Verifier
from ml.radiology.vocabulary import forbidden_in
from tests.clients import program
from tests.radiology.reports.conftest import document
from tests.radiology.results.conftest import items, texts


def said(read: Read) -> list[tuple[str, str]]:
    """(name, value) of each coded item and text of the last document."""
    found = []
    for item in items(document(read)):
        name = item.ConceptNameCodeSequence[0].CodeMeaning
        if item.ValueType == "CODE":
            found.append((name, item.ConceptCodeSequence[0].CodeMeaning))
        if item.ValueType == "TEXT":
            found.append((name, item.TextValue))
    return found


def test_it_works(signed) -> None:
    report = document(signed)
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE", "FINAL", "VERIFIED",
    )  # fmt: skip
    [who] = report.VerifyingObserverSequence
    assert (str(who.VerifyingObserverName), who.VerifyingOrganization) == ("Ada Reader^", "North")
    at = datetime.strptime(str(who.VerificationDateTime), "%Y%m%d%H%M%S%z")
    assert at == signed.signed_at.replace(microsecond=0)
    assert (report.PatientID, report.StudyInstanceUID) == ("4711", signed.study.StudyInstanceUID)
    assert said(signed) == [
        ("Language of Content Item and Descendants", "English"),
        ("Observer Type", "Person"),
        ("Person Observer's Organization Name", "North"),
        ("Pleural effusion", "Present"),
        ("Laterality", "Left"),
        ("Finding", "Pleural effusion: present, left."),
        ("Finding", "Small, at the base."),
        ("Comment", "Research software, not a medical device."),
    ]
    [study] = report.CurrentRequestedProcedureEvidenceSequence
    [series] = study.ReferencedSeriesSequence
    film = signed.study.instances.get()
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == film.SOPInstanceUID
    assert AuditEvent.objects.filter(action="report.made").count() == 1


def test_others_can_read_it(signed, tmp_path) -> None:
    assert EnhancedSR.from_dataset(document(signed)).content[0].name.meaning == "Diagnostic Imaging Report"
    path = tmp_path / "report.dcm"
    document(signed).save_as(path)
    done = subprocess.run(
        [program("dsrdump"), "+Pe", str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Verification Flag   : VERIFIED" in done.stdout
    assert "Ada Reader^, North" in done.stdout
    assert '(,,"Pleural effusion")=(52101004,SCT,"Present")' in done.stdout
    assert "error" not in (done.stdout + done.stderr).lower()


def test_what_is_absent_cannot_be_taken_for_present(sign, study) -> None:
    """The finding is the name: who looks at the name and the value of an item alone reads it right."""
    read = sign(study, **{"verdict-0": "absent", "verdict-1": "unsure"})
    make_reports.run()
    assert ("Pleural effusion", "Absent") in said(read)
    assert ("Nodule", "Undetermined") in said(read)
    assert not any(value in ("Pleural effusion", "Nodule") for _, value in said(read))


def test_what_is_not_marked_is_not_said(sign, study) -> None:
    read = sign(study, text="As before.")
    make_reports.run()
    words = " ".join(texts(document(read))).lower()
    assert "nodule" not in words
    assert "effusion" not in words
    assert forbidden_in(words) == []


def test_without_the_look_at_marks_it_would_say_more(sign, study, monkeypatch) -> None:
    monkeypatch.setattr(
        documents, "marked_by", lambda read: [Marked("Nodule", "absent"), Marked("Effusion", "absent")]
    )
    read = sign(study, text="As before.")
    make_reports.run()
    assert ("Nodule", "Absent") in said(read)


def test_before_sign_off_there_is_none(study, press, radiologist) -> None:
    press(study)
    press(study, "commit", **{"verdict-0": "present"})
    make_reports.run()
    assert not ReportDocument.objects.exists()
    read = Read.objects.get()
    assert radiologist.get(f"/radiology/reports/{read.public_id}/report.dcm").status_code == 404


def test_an_addendum_makes_a_new_version_that_names_the_one_before(signed, press, radiologist) -> None:
    first = document(signed)
    ReportPolicy.objects.create(site=signed.study.site, organization="North Hospital")
    press(signed.study, "add", addendum="Compared with the CT\nof today.")
    make_reports.run()
    second = document(signed)
    [before] = second.PredecessorDocumentsSequence
    [series] = before.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.SeriesInstanceUID == first.SeriesInstanceUID
    assert second.SOPInstanceUID != first.SOPInstanceUID
    assert second.VerifyingObserverSequence[0].VerifyingOrganization == "North Hospital"
    [added] = [value for name, value in said(signed) if name == "Addendum"]
    assert added.endswith("Compared with the CT\r\nof today.")
    file = radiologist.get(f"/radiology/reports/{signed.public_id}/report.dcm")
    assert second.SOPInstanceUID.encode() in file.getvalue()


def test_a_retraction_rejects_every_version(signed, press, radiologist) -> None:
    press(signed.study, "add", addendum="More.")
    make_reports.run()
    press(signed.study, "add", addendum="Another patient's film.", retracts="on")
    make_reports.run()
    note = signed.documents.get(kind="ko")
    read = read_rejection(film_path(note.site, note.file_sha256))
    assert read is not None
    assert read.code == "113037"
    assert set(read.instances) == {document(signed, 1).SOPInstanceUID, document(signed, 2).SOPInstanceUID}
    assert radiologist.get(f"/radiology/reports/{signed.public_id}/report.dcm").status_code == 404


def test_what_was_retracted_before_it_was_written_leaves_nothing(sign, study, press) -> None:
    read = sign(study)
    press(study, "add", addendum="Another patient's film.", retracts="on")
    make_reports.run()
    assert not read.documents.exclude(file_sha256="").exists()
    assert not read.documents.filter(superseded_at=None).exists()


def objects(client: Client, study) -> int:
    answer = client.get(f"/dicom-web/studies/{study.StudyInstanceUID}/metadata")
    return len(json.loads(answer.getvalue()))


def test_wado_gives_it_out_but_to_who_reads_the_study_blind(signed, client, token, other) -> None:
    study = signed.study
    door = f"/dicom-web/studies/{study.StudyInstanceUID}/metadata"
    assert len(json.loads(Client().get(door, headers={"authorization": f"Bearer {token}"}).getvalue())) == 2
    assert objects(other, study) == 2
    page = f"/radiology/reports/{signed.public_id}/"
    assert other.get(page).status_code == 200
    other.post(f"/radiology/studies/{study.public_id}/read/")
    assert objects(other, study) == 1
    assert other.get(page).status_code == other.get(f"{page}report.pdf").status_code == 404
    other.post(f"/radiology/studies/{study.public_id}/read/commit/")
    assert other.get(page).status_code == 200


def listed(client: Client, *doors: str) -> list[list[str]]:
    """The reports that QIDO-RS lists at each door."""
    answers = [client.get(f"/dicom-web/{door}", {"Modality": "SR"}).content for door in doors]
    return [[row["00080018"]["Value"][0] for row in json.loads(found or b"[]")] for found in answers]


def test_qido_lists_it_to_those_to_whom_wado_gives_it(signed, other) -> None:
    """Within the study and across studies."""
    doors = (f"studies/{signed.study.StudyInstanceUID}/instances", "instances")
    assert listed(other, *doors) == [[document(signed).SOPInstanceUID]] * 2
    other.post(f"/radiology/studies/{signed.study.public_id}/read/")
    assert listed(other, *doors) == [[], []]


def test_without_the_question_who_reads_blind_it_would_be_listed(signed, other, monkeypatch) -> None:
    other.post(f"/radiology/studies/{signed.study.public_id}/read/")
    monkeypatch.setattr("apps.radiology.documents.reports._blind_for", lambda user: Q(pk=None))
    assert listed(other, "instances") == [[document(signed).SOPInstanceUID]]


def test_without_the_guard_a_second_reader_would_see_it(signed, other, monkeypatch) -> None:
    other.post(f"/radiology/studies/{signed.study.public_id}/read/")
    monkeypatch.setattr("apps.radiology.documents.reports.may_see_reports", lambda user, study: True)
    assert other.get(f"/radiology/reports/{signed.public_id}/").status_code == 200


def test_it_comes_back_as_a_duplicate(signed, send) -> None:
    content = io.BytesIO()
    document(signed).save_as(content)
    [row] = send(content.getvalue())
    assert row["state"] == "duplicate"


def test_one_that_fails_is_tried_again_and_keeps_none_from_another(sign, received, monkeypatch) -> None:
    first, second = sign(received().study), sign(received().study)
    make = documents._report

    def fail(one: ReportDocument):
        if one.read_id == first.pk:
            raise ValueError
        return make(one)

    with monkeypatch.context() as patch:
        patch.setattr(documents, "_report", fail)
        make_reports.run()
    assert second.documents.get().file_sha256
    assert not first.documents.get().file_sha256
    ReportDocument.objects.update(due_at=first.signed_at)
    assert sweep_all()["radiology.reports"] == 1
    make_reports.run()
    assert first.documents.get().file_sha256


def test_codes_are_those_of_the_standard() -> None:
    for heading in SECTIONS.values():
        assert heading.code.scheme == "LN"
        names = cid_concepts[7001]["LN"]
        assert any(heading.code.value in concepts["LN"][name] for name in names), heading
    for code in PRESENCE.values():
        assert any(code.value in concepts["SCT"][name] for name in cid_concepts[240]["SCT"]), code


@pytest.mark.parametrize(("name", "pn"), [("Ada Reader", "Ada Reader^"), ("A^B=C\\D", "A B C D^")])
def test_a_name_is_no_two_names(name, pn, signed) -> None:
    assert Verifier(name, "", signed.signed_at).person_name == pn


def test_marks_are_not_made_by_a_report(signed) -> None:
    assert Mark.objects.count() == 1
