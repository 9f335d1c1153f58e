"""IHE IOCM: what a rejection note names leaves every list and answer, and its file stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Q
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import overdue
from apps.radiology.common import selectors
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import film_path, incoming
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.models import Instance, Rejection, RejectionNote, Status, Study
from ml.radiology.rejection import KEY_OBJECT_SELECTION
from tests.radiology.conftest import as_file, film, film_file
from tests.radiology.test_corrections import again
from tests.radiology.test_cstore import associate, port  # noqa: F401
from tests.radiology.test_stow import failures, stow  # noqa: F401

QUALITY, SAFETY, WORKLIST, RETENTION = "113001", "113037", "113038", "113039"


def note(code: str, *films: Dataset, scheme: str = "DCM", **attributes: Any) -> Dataset:
    """A Key Object Selection document with one of IOCM's titles."""
    data = film(SOPClassUID=KEY_OBJECT_SELECTION, Modality="KO", PixelData=None, **attributes)
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = code, scheme, "a title"
    data.ConceptNameCodeSequence = [title]
    data.CurrentRequestedProcedureEvidenceSequence = [evidence(one) for one in films]
    return data


def evidence(data: Dataset) -> Dataset:
    study, series, instance = Dataset(), Dataset(), Dataset()
    study.StudyInstanceUID, series.SeriesInstanceUID = data.StudyInstanceUID, data.SeriesInstanceUID
    instance.ReferencedSOPClassUID = data.SOPClassUID
    instance.ReferencedSOPInstanceUID = data.SOPInstanceUID
    series.ReferencedSOPSequence = [instance]
    study.ReferencedSeriesSequence = [series]
    return study


EVERYWHERE = ["worklist", "page", "image", "status", "api", "wado", "rendered"]


@pytest.mark.parametrize("code", [QUALITY, SAFETY, WORKLIST, RETENTION])
def test_it_works(decoded, seen, send, stored, code) -> None:
    data = decoded()
    assert seen(data) == EVERYWHERE
    [row] = send(as_file(note(code, data)))
    assert (row["state"], row.get("url")) == ("noted", None)
    assert seen(data) == []
    instance = Instance.objects.get()
    assert film_path(instance.site, instance.file_sha256).is_file()
    kept = RejectionNote.objects.get()
    assert f"{kept.file_sha256}.dcm" in stored()
    told = AuditEvent.objects.get(action="rejection.received")
    assert (told.detail["code"], told.detail["instances"]) == (code, 1)


def test_without_the_filter_a_rejected_film_would_be_served(decoded, seen, send, monkeypatch) -> None:
    first = decoded()
    second = decoded(seed=1, StudyInstanceUID=first.StudyInstanceUID)
    send(as_file(note(QUALITY, second)))
    assert "image" not in seen(second)
    monkeypatch.setattr(selectors, "NOT_REJECTED", Q())
    assert {"image", "wado", "rendered"} <= set(seen(second))


def test_one_of_two_films_goes_and_the_study_stays(
    received, judged, send, radiologist, client, token
) -> None:
    first = film()
    second = film(seed=1, StudyInstanceUID=first.StudyInstanceUID)
    one, two = received(as_file(first)), received(as_file(second))
    judged(one, Effusion=(0.9, 0.4))
    judged(two, Effusion=(0.1, 0.4))
    study = Study.objects.get()
    assert study.raised
    send(as_file(note(SAFETY, first)))
    study.refresh_from_db()
    assert not study.raised  # what was found on the rejected film raises nothing
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "out of use" in page
    assert str(one.public_id) not in page
    asked = {"authorization": f"Bearer {token}"}
    said = client.get(f"/api/v1/studies/{first.StudyInstanceUID}", headers=asked).json()
    assert [row["sop_instance_uid"] for row in said["instances"]] == [second.SOPInstanceUID]
    assert [finding["probability"] for finding in said["findings"]] == [0.1]
    whole = client.get(f"/dicom-web/studies/{first.StudyInstanceUID}", headers=asked)
    assert as_file(first) not in b"".join(whole.streaming_content)


def test_what_was_rejected_before_it_came_is_stored_and_out_of_use(send, seen) -> None:
    data = film()
    send(as_file(note(SAFETY, data)))
    [row] = send(as_file(data))
    assert (row["state"], row.get("url")) == ("rejected", None)
    instance = Instance.objects.get()
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert instance.status == Status.RECEIVED
    assert seen(data) == []


def test_a_rejected_film_is_rung_for_no_more(received, send) -> None:
    data = film()
    received(as_file(data))
    Instance.objects.update(received_at="2020-01-01T00:00:00Z")
    assert overdue().count() == 1
    send(as_file(note(WORKLIST, data)))
    assert overdue().count() == 0


def test_a_rejection_for_quality_can_be_undone_by_a_named_person(decoded, seen, send, radiologist) -> None:
    data = decoded()
    document = as_file(note(QUALITY, data))
    send(document)
    page = radiologist.get("/radiology/changes/").content.decode()
    assert "Rejected for quality reasons" in page
    kept = RejectionNote.objects.get()
    page = radiologist.post(f"/radiology/rejections/{kept.public_id}/undo/", follow=True).content.decode()
    assert "undone by" in page
    assert seen(data) == EVERYWHERE
    assert AuditEvent.objects.get(action="rejection.undone").actor.startswith("user:")
    assert radiologist.post(f"/radiology/rejections/{kept.public_id}/undo/").status_code == 409
    # The same note once more is no new one.
    assert send(document)[0]["state"] == "noted"
    assert seen(data) == EVERYWHERE


@pytest.mark.parametrize("code", [SAFETY, WORKLIST, RETENTION])
def test_the_others_cannot(decoded, seen, send, radiologist, code) -> None:
    data = decoded()
    send(as_file(note(code, data)))
    assert "Undo" not in radiologist.get("/radiology/changes/").content.decode()
    kept = RejectionNote.objects.get()
    answer = radiologist.post(f"/radiology/rejections/{kept.public_id}/undo/")
    assert answer.status_code == 409
    assert seen(data) == []


def test_undoing_one_note_leaves_the_other_in_force(decoded, seen, send, radiologist) -> None:
    data = decoded()
    send(as_file(note(SAFETY, data)), as_file(note(QUALITY, data)))
    undone = RejectionNote.objects.get(code=QUALITY)
    radiologist.post(f"/radiology/rejections/{undone.public_id}/undo/")
    assert seen(data) == []
    assert Instance.objects.get().rejected_by.code == SAFETY


@pytest.mark.parametrize(("code", "back"), [(RETENTION, True), (QUALITY, False), (SAFETY, False)])
def test_sent_again_only_what_had_expired_comes_back(decoded, seen, send, code, back) -> None:
    data = decoded()
    send(as_file(note(code, data)))
    send(as_file(data))
    assert seen(data) == (EVERYWHERE if back else [])
    assert AuditEvent.objects.filter(action="rejection.ended").exists() is back


def test_other_pixels_bring_nothing_back(decoded, seen, send) -> None:
    data = decoded()
    send(as_file(note(RETENTION, data)))
    [row] = send(as_file(again(data, seed=1)))
    assert row["code"] == "instance_conflict"
    assert seen(data) == []


def test_another_site_is_untouched(decoded, seen, other_site) -> None:
    data = decoded()
    with incoming() as path:
        path.write_bytes(as_file(note(SAFETY, data)))
        ingest_instance(path, sender=Sender(other_site, "stow"))
    assert seen(data) == EVERYWHERE


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (note("113000", film()), "no_pixels"),  # "Of Interest"
        (note(QUALITY, film(), scheme="99LOCAL"), "no_pixels"),
        (note(QUALITY), "bad_header"),
        (note(QUALITY, film(SOPInstanceUID="no uid")), "bad_header"),
    ],
    ids=["of interest", "of another scheme", "of nothing", "of no instance"],
)
def test_other_documents_are_refused(send, document, code) -> None:
    assert [row["code"] for row in send(as_file(document))] == [code]
    assert not RejectionNote.objects.exists()


def test_another_note_under_a_known_uid_is_refused(send) -> None:
    uid = generate_uid()
    send(as_file(note(QUALITY, film(), SOPInstanceUID=uid)))
    [row] = send(as_file(note(QUALITY, film(), film(), SOPInstanceUID=uid)))
    assert row["code"] == "instance_conflict"
    assert Rejection.objects.count() == 1


def test_a_note_sent_again_is_no_news(send) -> None:
    document = as_file(note(QUALITY, film()))
    assert [send(document)[0]["state"] for _ in range(2)] == ["noted", "noted"]
    assert AuditEvent.objects.filter(action="rejection.received").count() == 1
    assert send(film_file())[0]["state"] == "queued"
