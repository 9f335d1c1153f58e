"""When a study's results are made: once, anew when the study changes, and not while it is in question."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from apps.modelops.models import ModelVersion
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.documents import results
from apps.radiology.documents.services import results as making
from apps.radiology.models import Instance, Result, ResultKind, Status, Study
from apps.radiology.tasks import make_results
from tests.radiology.conftest import film
from tests.radiology.results.conftest import judge, report, settle, texts
from tests.radiology.test_corrections import again
from tests.radiology.test_rejections import SAFETY, note


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
