"""A complete study's structured report and captures: made once, and anew when the study changes."""

from __future__ import annotations

import io
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import highdicom.sr
import numpy as np
import pydicom
import pytest
from django.db import connection
from django.test import Client
from pydicom.dataset import Dataset

from apps.audit.models import AuditEvent
from apps.core.sweep import sweep_all
from apps.modelops.models import ModelVersion
from apps.radiology import results
from apps.radiology.inference import Answer
from apps.radiology.models import Instance, Result, ResultKind, Status, Study
from apps.radiology.services import results as making
from apps.radiology.services.analyse import analyse_instance
from apps.radiology.services.claims import claim
from apps.radiology.services.outcomes import Outcome, finish
from apps.radiology.store import film_path
from apps.radiology.tasks import make_results
from ml.radiology.contracts import FindingScore
from ml.radiology.vocabulary import forbidden_in
from tests.clients import program
from tests.radiology.conftest import as_file, film
from tests.radiology.test_corrections import again
from tests.radiology.test_quiet import quieten
from tests.radiology.test_rejections import SAFETY, note

LOOKED = np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (48, 1))


@pytest.fixture
def read(received, version: ModelVersion) -> Callable[..., Instance]:
    """A film that came in and was decoded and judged, by label=(probability, operating point)."""

    def take(data: Dataset | None = None, by: int | None = None, **scores: Any) -> Instance:
        instance = received(as_file(film() if data is None else data))
        analyse_instance(instance.pk)
        return judge(instance, by or version.pk, **scores)

    return take


def judge(instance: Instance, version_id: int, **scores: tuple[float, float | None]) -> Instance:
    claimed = claim(instance.pk)
    assert claimed is not None
    claimed.has_picture = True
    found = tuple(
        FindingScore(label, p, at, called, LOOKED if called else None)
        for label, (p, at) in scores.items()
        for called in [at is not None and p >= at]
    )
    finish([Outcome(claimed, Status.ANALYSED, answer=Answer(version_id, found))])
    return Instance.objects.get(pk=instance.pk)


def settle() -> None:
    """As the sweeper and the worker do once the study is quiet."""
    quieten(10)
    sweep_all()
    make_results.run()


@pytest.fixture
def ask(client: Client, token: str) -> Callable[[str], list[Dataset]]:
    """What WADO-RS gives out."""

    def get(path: str) -> list[Dataset]:
        answer = client.get(f"/dicom-web/studies/{path}", headers={"authorization": f"Bearer {token}"})
        return parts(answer) if answer.status_code == 200 else []

    return get


def parts(answer: Any) -> list[Dataset]:
    body, boundary = b"".join(answer.streaming_content), answer["Content-Type"].split("boundary=")[1]
    chunks = body.split(f"--{boundary}".encode())[1:-1]
    return [pydicom.dcmread(io.BytesIO(chunk.split(b"\r\n\r\n", 1)[1][:-2])) for chunk in chunks]


def path_of(result: Result) -> Path:
    return film_path(result.site, result.file_sha256)


def report() -> Dataset:
    return pydicom.dcmread(path_of(Result.objects.filter(kind=ResultKind.REPORT).latest("pk")))


def items(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence", []):
        yield from items(child)


def texts(data: Dataset) -> list[str]:
    """All that a report says in words or by a code, but the view of its films."""
    said = []
    for item in items(data):
        name = item.ConceptNameCodeSequence[0].CodeMeaning
        if "TextValue" in item:
            said.append(item.TextValue)
        if "ConceptCodeSequence" in item and name != "Image View":
            said.append(item.ConceptCodeSequence[0].CodeMeaning)
    return said


def test_it_works(read, ask) -> None:
    data = film(PatientName="Döe^Jane", StudyDate="20240131", StudyTime="1010", TimezoneOffsetFromUTC="+0100")
    instance = read(data, Effusion=(0.81, 0.4), Pneumonia=(0.2, 0.5), Nodule=(0.9, None))
    make_results.run()
    assert not Result.objects.exists()  # more films may still come
    settle()
    sent, made, capture = ask(data.StudyInstanceUID)
    assert sent.SOPInstanceUID == data.SOPInstanceUID
    assert (made.Modality, made.CompletionFlag, made.PreliminaryFlag, made.VerificationFlag) == (
        "SR", "PARTIAL", "PRELIMINARY", "UNVERIFIED",
    )  # fmt: skip
    assert (made.StudyInstanceUID, made.PatientID, str(made.PatientName), made.StudyTime) == (
        data.StudyInstanceUID, "4711", "Döe^Jane", "1010",
    )  # fmt: skip
    assert "preliminary" in made.SeriesDescription and made.Manufacturer == "Lynceus"
    assert len({sent.SeriesInstanceUID, made.SeriesInstanceUID, capture.SeriesInstanceUID}) == 3
    said = texts(made)
    for words in (
        "Lynceus film model",
        "3",
        f"artefact SHA-256 {'0' * 64}",
        "Insufficient evidence for an operating point",
    ):
        assert words in said
    summary, comment = said[-2:]
    assert summary.startswith("Raised by AI: pleural effusion. Looked for: opacity, pneumonia possible;")
    assert comment.startswith("Films analysed: 1 of 1.") and "not a medical device" in comment
    kept = Result.objects.get(kind=ResultKind.REPORT)
    assert list(kept.analyses.all()) == list(instance.analyses.all())
    assert AuditEvent.objects.get(action="result.made").detail == {"objects": ["sr", "sc"]}


def test_readers_of_others_understand_the_report(read) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4), Nodule=(0.1, 0.3))
    read(film(seed=1, StudyInstanceUID=data.StudyInstanceUID, ViewPosition="AP"), Effusion=(0.2, 0.4))
    settle()
    path = path_of(Result.objects.get(kind=ResultKind.REPORT))
    dumped = subprocess.run([program("dsrdump"), str(path)], capture_output=True, text=True, check=True)
    assert "Comprehensive SR Document" in dumped.stdout
    assert "error" not in (dumped.stdout + dumped.stderr).lower()
    document = highdicom.sr.srread(path)
    groups = document.content.get_image_measurement_groups()
    first = [one for one in groups if source(one) == data.SOPInstanceUID]
    assert [group.finding_type.meaning for group in first] == ["Pleural effusion", "Nodule"]
    assert {source(group) for group in groups} == set(
        Instance.objects.values_list("SOPInstanceUID", flat=True)
    )
    numbers = [(one.name.meaning, one.value) for one in first[0].get_measurements()]
    assert numbers == [("Probability", 0.81), ("Operating point", 0.4)]
    [call] = first[1].get_qualitative_evaluations()
    assert call.value.meaning == "Below its operating point"
    assert len(document.get_evidence()) == 2


def source(group: Any) -> str:
    return str(group.source_images[0].referenced_sop_instance_uid)


def test_the_capture_shows_the_attention_and_says_what_it_is(read) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4), Nodule=(0.1, 0.3))
    settle()
    [made] = [pydicom.dcmread(path_of(one)) for one in Result.objects.filter(kind=ResultKind.CAPTURE)]
    assert (made.PhotometricInterpretation, made.BurnedInAnnotation) == ("RGB", "YES")
    assert list(made.ImageType[:2]) == ["DERIVED", "SECONDARY"] and not made.PatientOrientation
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == data.SOPInstanceUID
    assert made.ImageComments.startswith("Model attention, pleural effusion, research use.")
    pixels = made.pixel_array.astype(int)
    film_part, words = pixels[:1024], pixels[1024:]
    colour = film_part[..., 0] - film_part[..., 2]
    assert colour[:, -100:].mean() > 60 > colour[:, :60].mean()  # LOOKED grows to the right
    assert words.max() == 255 and words.min() == 0


def test_nothing_that_no_result_may_say_is_said(read, ask, radiologist, client, token) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4), Pneumonia=(0.7, 0.5), Normal=(0.9, 0.5), Tuberculosis=(0.9, None))
    settle()
    _, made, capture = ask(data.StudyInstanceUID)
    asked = {"authorization": f"Bearer {token}"}
    api = client.get(f"/api/v1/studies/{data.StudyInstanceUID}", headers=asked).json()
    page = radiologist.get(f"/radiology/studies/{Study.objects.get().public_id}/").content.decode()
    row = radiologist.get("/radiology/").content.decode().split('class="why"')[1].split("</td>")[0]
    said = [
        *texts(made), made.SeriesDescription, capture.ImageComments, capture.DerivationDescription,
        capture.SeriesDescription, api["statement"], *(one["statement"] for one in api["instances"]),
        *(f"{one['says']}. {one['code']['meaning']}" for one in api["findings"]),
        visible(page.split('class="panel ai"')[1].split("</section>")[0]), visible(row),
    ]  # fmt: skip
    assert "label not reported" in " ".join(said)
    assert [found for text in said for found in forbidden_in(text)] == []
    assert forbidden_in(" ".join([*said, "No effusion."])) == ["absence: No effusion"]


def visible(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))


def test_originals_stay_as_they_are(read, stored) -> None:
    instance = read(Effusion=(0.81, 0.4))
    path = film_path(instance.site, instance.file_sha256)
    content, row = path.read_bytes(), Instance.objects.filter(pk=instance.pk).values().get()
    before = set(stored())
    settle()
    assert path.read_bytes() == content
    assert Instance.objects.filter(pk=instance.pk).values().get() == row
    assert set(stored()) - before == {path_of(one).name for one in Result.objects.all()}
    assert Instance.objects.count() == 1


def test_the_same_analyses_give_no_second_report(read) -> None:
    read(Effusion=(0.81, 0.4))
    settle()
    made = set(Result.objects.values_list("pk", flat=True))
    make_results.run()
    Study.objects.update(results_for=None)
    make_results.run()
    assert set(Result.objects.values_list("pk", flat=True)) == made
    assert not results.studies_due().exists()


def test_a_late_film_makes_a_new_report_that_names_the_one_before(read, ask) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4))
    settle()
    first = report()
    read(film(seed=1, StudyInstanceUID=data.StudyInstanceUID), Effusion=(0.1, 0.4))
    assert [one.Modality for one in ask(data.StudyInstanceUID)] == ["DX", "DX"]  # no longer what the study is
    settle()
    given = [one for one in ask(data.StudyInstanceUID) if one.Modality == "SR"]
    assert [one.SOPInstanceUID for one in given] == [report().SOPInstanceUID] != [first.SOPInstanceUID]
    [study] = given[0].PredecessorDocumentsSequence
    assert (
        study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        == first.SOPInstanceUID
    )
    assert "Films analysed: 2 of 2." in texts(given[0])[-1]
    assert Result.objects.filter(superseded_at=None).count() == 2


def test_another_version_a_correction_and_a_rejection_make_it_anew(read, ask, arrive, version) -> None:
    data = film()
    instance = read(data, Effusion=(0.81, 0.4))
    second = film(seed=1, StudyInstanceUID=data.StudyInstanceUID)
    read(second, Effusion=(0.9, 0.4))
    settle()
    seen = [report().SOPInstanceUID]
    newer = ModelVersion.objects.create(
        model=version.model,
        number=4,
        artefact_hash="1" * 64,
        dataset=version.dataset,
        job=another_job(version),
    )
    Instance.objects.filter(pk=instance.pk).update(status=Status.RECEIVED)
    judge(instance, newer.pk, Effusion=(0.3, 0.4))
    settle()
    assert "artefact SHA-256 " + "1" * 64 in texts(report())
    seen.append(report().SOPInstanceUID)
    arrive(again(data, PatientID="4712"), trusted=True)
    settle()
    assert report().PatientID == "4712"
    seen.append(report().SOPInstanceUID)
    arrive(note(SAFETY, second))
    assert all(one.Modality == "DX" for one in ask(data.StudyInstanceUID))
    settle()
    assert "No finding above its operating point." in texts(report())[-2]
    assert not Result.objects.filter(superseded_at=None, kind=ResultKind.CAPTURE).exists()
    assert len({*seen, report().SOPInstanceUID}) == 4


def another_job(version: ModelVersion) -> Any:
    job = version.job
    job.pk = None
    job.save()
    return job


def test_without_anything_found_there_is_none_and_what_was_made_is_taken_back(
    received, read, ask, arrive
) -> None:
    analyse_instance(received(ViewPosition="LL").pk)
    settle()
    assert not Result.objects.exists() and not results.studies_due().exists()
    data = film()
    read(data, Effusion=(0.81, 0.4))
    settle()
    assert len(ask(data.StudyInstanceUID)) == 3
    arrive(note(SAFETY, data))
    settle()
    assert not Result.objects.filter(superseded_at=None).exists()
    assert ask(data.StudyInstanceUID) == []


def test_while_whose_it_is_is_in_question_none_is_made(read, arrive) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4))
    arrive(again(data, PatientID="4712"))
    settle()
    assert not Result.objects.exists()
    arrive(again(data, PatientID="4712"), trusted=True)
    settle()
    assert report().PatientID == "4712"


def test_what_cannot_be_made_holds_up_no_other_and_is_tried_again(read, monkeypatch) -> None:
    broken, whole = read(Effusion=(0.81, 0.4)), read(Effusion=(0.9, 0.4))
    real = making._make

    def fail(material: Any, stack: Any) -> Any:
        if material.study.pk == broken.study_id:
            raise RuntimeError("nothing can be drawn")
        return real(material, stack)

    monkeypatch.setattr(making, "_make", fail)
    settle()
    assert set(Result.objects.values_list("study", flat=True)) == {whole.study_id}
    assert not results.studies_due().exists()
    monkeypatch.undo()
    Study.objects.filter(results_retry_at__isnull=False).update(results_retry_at="2020-01-01T00:00Z")
    make_results.run()
    assert Result.objects.filter(study=broken.study).count() == 2


def at_once(pk: int) -> None:
    start = threading.Barrier(2)
    real = making._make

    def together(material: Any, stack: Any) -> Any:
        made = list(real(material, stack))
        start.wait(30)
        return made

    def work() -> None:
        try:
            making._settle(pk)
        finally:
            connection.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "_make", together)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_makes_them(read) -> None:
    at_once(read(Effusion=(0.81, 0.4)).study_id)
    assert Result.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_and_the_second_look_both_would(read, monkeypatch) -> None:
    monkeypatch.setattr(making, "_in_force", lambda study, basis: False)
    at_once(read(Effusion=(0.81, 0.4)).study_id)
    assert Result.objects.count() == 4


@pytest.mark.parametrize(
    "odd",
    [
        {"PatientName": "O'Brien", "PatientSex": "unknown", "StudyDate": "31.1.2024", "StudyTime": "late"},
        {
            "PatientID": "A" * 70,
            "AccessionNumber": "B" * 40,
            "PatientAge": "64",
            "PatientBirthDate": "19601301",
        },
        {
            "PatientName": "山田^太郎",
            "SpecificCharacterSet": "ISO_IR 192",
            "TimezoneOffsetFromUTC": "Brussels",
        },
        {"PatientName": None, "PatientID": "", "SOPClassUID": "1.2.3.4.5"},
    ],
)
def test_odd_headers_cost_no_report_and_no_name_is_logged(read, odd: dict[str, Any], recwarn, caplog) -> None:
    data = film(**odd)
    read(data, Effusion=(0.81, 0.4))
    settle()
    made = report()
    assert made.PatientID == data.PatientID
    assert str(made.PatientName) == str(data.get("PatientName", ""))
    noise = " ".join([*(str(one.message) for one in recwarn), caplog.text])
    assert "O'Brien" not in noise and "山田" not in noise and "A" * 70 not in noise
