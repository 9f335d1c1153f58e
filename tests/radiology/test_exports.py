"""De-identified copies at their doors: asked for, held for a person, made by the worker, fetched."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.core.management import CommandError, call_command

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.sweep import sweep_all
from apps.radiology import tasks
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.copies.services import make_exports
from apps.radiology.models import Export, ExportFilm, ExportState, FilmState, Instance, Study
from apps.radiology.reading.services.reads import begin_read, commit_read, keep_draft, sign_read
from apps.radiology.studies.reads import Said
from tests.radiology.conftest import as_file, film
from tests.radiology.test_rejections import QUALITY, note

PERSON = {"PatientID": "MRN-88417", "PatientName": "Zyqxwv^Ann", "AccessionNumber": "ACC-5521"}
CLEAN = {"BurnedInAnnotation": "NO"}


def ask_for(client: Any, study: Study | None = None, project: str = "lungs") -> Export:
    answer = client.post(
        "/radiology/exports/", {"project": project, "study": study.StudyInstanceUID if study else ""}
    )
    assert answer.status_code == 302, answer.content
    return Export.objects.latest("pk")


def fetch(client: Any, export: Export) -> dict[str, bytes]:
    answer = client.get(f"/radiology/exports/{export.public_id}.tar")
    assert answer["Content-Type"] == "application/x-tar"
    content = io.BytesIO(b"".join(answer.streaming_content))
    with tarfile.open(fileobj=content) as archive:
        assert {(member.uid, member.mtime, member.uname) for member in archive} == {(0, 0, "")}
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def work(export: Export) -> Export:
    tasks.make_exports()
    export.refresh_from_db()
    return export


def page(client: Any, export: Export) -> str:
    return client.get(f"/radiology/exports/{export.public_id}/").content.decode()


def study_of(data: Any) -> Study:
    return Study.objects.get(StudyInstanceUID=data.StudyInstanceUID)


@pytest.fixture
def studies(take) -> tuple[Study, Study]:
    first = take(**PERSON, **CLEAN, StudyDate="20250101")
    second = take(**PERSON, **CLEAN, StudyDate="20250111", seed=2)
    return study_of(first), study_of(second)


def test_it_works(radiologist, studies) -> None:
    export = work(ask_for(radiologist, studies[0]))
    assert export.state == ExportState.READY
    files = fetch(radiologist, export)
    [name] = [name for name in files if name.endswith(".dcm")]
    everything = b"".join([*files.values(), *(name.encode() for name in files)])
    for told in (*PERSON.values(), "Zyqxwv", studies[0].StudyInstanceUID, "20250101"):
        assert told.encode() not in everything
    out = pydicom.dcmread(io.BytesIO(files[name]))
    assert out.PatientIdentityRemoved == "YES"
    assert name == f"films/{out.PatientID}/{out.SOPInstanceUID}.dcm"
    report = json.loads(files["report.json"])
    assert report["films"] == 1
    assert {"attribute": "StudyDate", "done": "shifted", "count": 1} in report["changes"]
    shown = page(radiologist, export)
    assert "StudyDate" in shown and "shifted" in shown
    assert "lungs" in radiologist.get("/radiology/exports/").content.decode()
    actions = [
        event.action for event in AuditEvent.objects.filter(action__startswith="export.").order_by("pk")
    ]
    assert actions == ["export.asked", "export.made", "export.fetched"]


def test_one_patient_is_one_pseudonym_within_a_project(radiologist, studies) -> None:
    def of(study: Study, project: str) -> pydicom.Dataset:
        files = fetch(radiologist, work(ask_for(radiologist, study, project)))
        return pydicom.dcmread(io.BytesIO(next(files[name] for name in files if name.endswith(".dcm"))))

    first, second, elsewhere = of(studies[0], "lungs"), of(studies[1], "lungs"), of(studies[0], "other")
    assert first.PatientID == second.PatientID != elsewhere.PatientID
    days = [pydicom.valuerep.DA(one.StudyDate) for one in (first, second)]
    assert (days[1] - days[0]).days == 10
    assert elsewhere.SOPInstanceUID != first.SOPInstanceUID


@pytest.fixture
def held(radiologist, decoded) -> Export:
    """Two films that may show text: their headers promise nothing."""
    data = decoded(**PERSON)
    decoded(**PERSON, StudyInstanceUID=data.StudyInstanceUID, seed=2)
    return work(ask_for(radiologist, study_of(data)))


def decide(client: Any, export: Export, film: ExportFilm, **form: str) -> Any:
    url = f"/radiology/exports/{export.public_id}/decide/"
    return client.post(url, {"film": str(film.instance.public_id), **form})


def test_what_may_show_text_waits_for_a_person(radiologist, held) -> None:
    assert held.state == ExportState.HELD
    assert radiologist.get(f"/radiology/exports/{held.public_id}.tar").status_code == 404
    one, two = held.films.order_by("pk")
    shown = page(radiologist, held)
    assert f"/radiology/instances/{one.instance.public_id}/image.png" in shown
    decide(radiologist, held, one, clean="1")
    assert work(held).state == ExportState.HELD
    decide(radiologist, held, two)
    assert work(held).state == ExportState.READY
    files = fetch(radiologist, held)
    assert len([name for name in files if name.endswith(".dcm")]) == 1
    assert json.loads(files["report.json"])["left_out"] == 1
    decisions = AuditEvent.objects.filter(action="export.film_decided").order_by("pk")
    assert [event.detail["clean"] for event in decisions] == [True, False]
    one.refresh_from_db()
    assert (one.state, one.decided_by.role) == (FilmState.CLEAN, "radiologist")
    again = decide(radiologist, held, one)  # nothing waits any more
    assert again.status_code == 302
    two.refresh_from_db()
    assert two.state == FilmState.LEFT_OUT


def test_without_the_look_it_would_leave_unseen(radiologist, decoded, monkeypatch) -> None:
    monkeypatch.setattr(make_exports, "text_risk", lambda path, limits: "")
    export = work(ask_for(radiologist, study_of(decoded(**PERSON))))
    assert export.state == ExportState.READY


@pytest.mark.parametrize(
    "form",
    [{}, {"project": "a b"}, {"project": "x" * 41}, {"project": "x", "study": "1.2.3"},
     {"project": "x", "study": "nonsense"}, {"project": "x"}],
)  # fmt: skip
def test_what_cannot_be_exported_is_422(radiologist, studies, form) -> None:
    assert radiologist.post("/radiology/exports/", form).status_code == 422
    assert not Export.objects.exists()


def test_more_films_than_may_be_are_refused(radiologist, studies, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.copies.services.exports.FILMS_MAX", 0)
    answer = radiologist.post("/radiology/exports/", {"project": "x", "study": studies[0].StudyInstanceUID})
    assert answer.status_code == 422
    assert "At most 0 films" in answer.content.decode()


def test_another_sites_study_is_none(radiologist, studies, other_site) -> None:
    Study.objects.update(site=other_site)
    answer = radiologist.post("/radiology/exports/", {"project": "x", "study": studies[0].StudyInstanceUID})
    assert answer.status_code == 422


def test_what_was_rejected_meanwhile_is_not_in_it(radiologist, take, arrive) -> None:
    data = take(**CLEAN)
    other = take(**CLEAN, StudyInstanceUID=data.StudyInstanceUID, seed=2)
    export = ask_for(radiologist, study_of(data))
    arrive(note(QUALITY, other))
    files = fetch(radiologist, work(export))
    assert len([name for name in files if name.endswith(".dcm")]) == 1


def test_a_copy_that_fails_says_so_and_the_next_is_made(radiologist, studies, monkeypatch) -> None:
    first = ask_for(radiologist, studies[0])
    second = ask_for(radiologist, studies[1])
    real = make_exports._write
    failing = iter([True, False])

    def broken(export: Export, target: Path) -> Any:
        if next(failing):
            raise OSError(5, "Input/output error")
        return real(export, target)

    monkeypatch.setattr(make_exports, "_write", broken)
    tasks.make_exports()
    first.refresh_from_db(), second.refresh_from_db()
    assert (first.state, second.state) == (ExportState.FAILED, ExportState.READY)
    assert "OSError" in page(radiologist, first)


def test_it_is_kept_a_week_and_its_report_for_ever(radiologist, studies, folders) -> None:
    export = work(ask_for(radiologist, studies[0]))
    assert list((folders / "exports").rglob("*.tar"))
    Export.objects.update(made_at=now() - timedelta(days=8))
    sweep_all()
    assert not list((folders / "exports").rglob("*.tar"))
    assert radiologist.get(f"/radiology/exports/{export.public_id}.tar").status_code == 404
    assert "StudyDate" in page(radiologist, export)


@pytest.fixture
def signed(received, judged, make_user) -> Any:
    """A study with a signed read, committed before the model's answer opened."""

    def read(reader: Any, said: dict[str, Said], **attributes: Any) -> Study:
        instance = received(as_file(film(**PERSON, **CLEAN, **attributes)))
        analyse_instance(instance.pk)
        judged(Instance.objects.get(pk=instance.pk), Effusion=(0.9, 0.4))
        found = instance.study
        draft = begin_read(found, reader)
        keep_draft(draft, said, "A report.")
        commit_read(draft)
        sign_read(draft)
        return found

    return read


def test_a_labelled_set_is_what_import_images_reads(
    radiologist, signed, studies, make_user, tmp_path
) -> None:
    reader = make_user("radiologist", email="reader@north.example")
    signed(reader, {"Effusion": Said("present"), "Nodule": Said("absent")}, seed=5)
    signed(reader, {"Effusion": Said("absent"), "Nodule": Said("unsure")}, seed=6)
    out = tmp_path / "out.tar"
    said = io.StringIO()
    call_command(
        "export_films", "--project", "lungs", "--labels", "Effusion,Nodule", "--to", str(out), stdout=said
    )
    assert "Wrote 2 films; 0 left out." in said.getvalue()
    with tarfile.open(out) as archive:
        labels = archive.extractfile("labels.csv").read().decode()  # type: ignore[union-attr]
    rows = list(csv.DictReader(io.StringIO(labels)))
    assert {(row["Effusion"], row["Nodule"], row["view"]) for row in rows} == {
        ("1", "0", "PA"),
        ("0", "", "PA"),
    }
    assert len({row["patient_id"] for row in rows}) == 1
    assert not any(told in labels for told in ("Zyqxwv", "MRN-88417"))
    (tmp_path / "labels.csv").write_text(labels)
    read = io.StringIO()
    call_command(
        "import_images", "--images", str(out), "--labels", str(tmp_path / "labels.csv"),
        "--findings", "Effusion,Nodule", "--name", "lungs", "--dry-run", stdout=read,
    )  # fmt: skip
    found = json.loads(read.getvalue())
    assert (found["n"], found["findings"]["Effusion"]) == (2, {"present": 1, "absent": 1, "unknown": 0})


def test_a_command_leaves_out_what_a_person_would_have_to_see(received, tmp_path, site) -> None:
    received(as_file(film(**PERSON)))
    study = Study.objects.get().StudyInstanceUID
    said, out = io.StringIO(), tmp_path / "out.tar"
    call_command("export_films", "--project", "x", "--study", study, "--to", str(out), stdout=said)
    assert "Wrote 0 films; 1 left out." in said.getvalue()
    with pytest.raises(CommandError, match="there already"):
        call_command("export_films", "--project", "x", "--study", study, "--to", str(out))
    with pytest.raises(CommandError, match="no film to export"):
        call_command("export_films", "--project", "x", "--study", "1.2", "--to", str(tmp_path / "b.tar"))
