"""A signed read whose study's identity changed since: in doubt everywhere until its reader speaks."""

from __future__ import annotations

import re

import pytest

from apps.audit.models import AuditEvent
from apps.radiology.intake.services.patients import merge_patients, move_study, undo_merge
from apps.radiology.models import Read, Study
from apps.radiology.tasks import make_reports
from tests.radiology.reads.conftest import page_of
from tests.radiology.reports.conftest import document

BANNER = "signed under other"


@pytest.fixture
def moved(signed, make_user) -> Read:
    """Given to another patient after it was signed."""
    operator = make_user("operator")
    move_study(signed.study, ("9999", ""), person={"PatientName": "Roe^Ann"}, by=operator)
    return signed


def flagged_at(client, read: Read) -> list[str]:
    """The forms and lists that say so."""
    report = f"/radiology/reports/{read.public_id}/"
    pages = {
        "study": page_of(client, read.study),
        "report": client.get(report).content.decode(),
        "worklist": client.get("/radiology/?reading=signed").content.decode(),
        "changes": client.get("/radiology/changes/").content.decode(),
    }
    found = [name for name, page in pages.items() if BANNER in page.lower()]
    return found + ["dicom"] * (client.get(f"{report}report.dcm").status_code == 404)


def test_it_works(moved, radiologist, press) -> None:
    assert flagged_at(radiologist, moved) == ["study", "report", "worklist", "changes", "dicom"]
    assert "9999" in radiologist.get(f"/radiology/reports/{moved.public_id}/").content.decode()
    told = AuditEvent.objects.get(action="read.flagged")
    assert told.detail == {"read": moved.pk}
    press(moved.study, "add", addendum="It is of the patient 9999.")
    make_reports.run()
    assert flagged_at(radiologist, moved) == []
    assert (document(moved, 1).PatientID, document(moved).PatientID) == ("4711", "9999")
    assert AuditEvent.objects.get(action="read.amended").detail["identity"] == "changed since"


def test_a_retraction_clears_it_too(moved, radiologist, press) -> None:
    press(moved.study, "add", addendum="Not of this patient.", retracts="on")
    assert flagged_at(radiologist, moved) == ["dicom"]
    make_reports.run()
    assert document(moved).PatientID == "4711"  # the note is of the patient under whom the report was


def test_a_change_back_does_not_clear_it(signed, radiologist, make_user, site) -> None:
    operator = make_user("operator")
    merge = merge_patients(site, ("4711", ""), ("1", ""), note="x", by=operator)
    undo_merge(merge, by=operator)
    assert Study.objects.get().PatientID == "4711"
    assert "report" in flagged_at(radiologist, signed)


def test_a_change_before_the_signature_is_none_after_it(study, sign, radiologist, make_user) -> None:
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    study.refresh_from_db()
    read = sign(study)
    make_reports.run()
    assert flagged_at(radiologist, read) == []


def test_what_changed_while_it_was_read_is_looked_at_before_it_is_signed(
    study, press, radiologist, make_user
) -> None:
    """The panel says under which identity it was shown; without that word it would be signed."""
    press(study)
    press(study, "commit")

    def shown() -> str:
        return re.findall(r'name="identity" value="([^"]+)"', page_of(radiologist, study))[0]

    before = shown()
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    refused = press(study, "sign", identity=before)
    assert refused.status_code == 409
    assert "identity_changed" in refused.content.decode()
    assert press(study, "sign", identity=shown()).status_code == 302


def test_no_document_is_written_under_another_patient(study, sign, make_user) -> None:
    read = sign(study)
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    make_reports.run()
    assert not read.documents.exclude(file_sha256="").exists()


def test_without_the_guard_it_would_be(study, sign, make_user, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.documents.services.documents.identity_changed", lambda read: False)
    read = sign(study)
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    make_reports.run()
    assert document(read).PatientID == "9999"


def test_without_the_look_the_report_would_not_say_so(moved, radiologist, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.documents.reports.identity_changed", lambda read: False)
    assert flagged_at(radiologist, moved) == ["study", "worklist", "changes", "dicom"]
