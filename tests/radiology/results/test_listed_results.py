"""QIDO-RS lists our own objects as WADO-RS gives them: the same ones, to the same callers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.radiology import listed_results
from apps.radiology.models import Result, Study
from tests.radiology.conftest import film
from tests.radiology.results.conftest import settle

SERIES, INSTANCE, MODALITY = "0020000E", "00080018", "00080060"


@pytest.fixture
def search(client, token) -> Any:
    """Rows of QIDO-RS by token, or in a person's session."""

    def get(path: str, person: Any = None, **query: str) -> list[dict[str, Any]]:
        headers = {} if person else {"authorization": f"Bearer {token}"}
        answer = (person or client).get(f"/dicom-web/{path}", query, headers=headers)
        assert answer.status_code in (200, 204), answer.content
        return json.loads(answer.content) if answer.content else []

    return get


@pytest.fixture
def study(read) -> Study:
    read(Effusion=(0.81, 0.4))
    settle()
    return Study.objects.get()


def values(rows: list[dict[str, Any]], tag: str) -> list[Any]:
    return [row[tag]["Value"][0] for row in rows]


def below(study: Study, level: str = "instances") -> str:
    return f"studies/{study.StudyInstanceUID}/{level}"


def test_it_works(search, study, ask) -> None:
    given = ask(study.StudyInstanceUID)
    rows = search(below(study))
    assert set(values(rows, INSTANCE)) == {data.SOPInstanceUID for data in given}
    by_uid = {row[INSTANCE]["Value"][0]: row for row in rows}
    for data in given:
        row = by_uid[data.SOPInstanceUID]
        assert row[MODALITY]["Value"] == [data.Modality]
        assert row["00080016"]["Value"] == [data.SOPClassUID]
        assert row["00081190"]["Value"][0].endswith(f"/instances/{data.SOPInstanceUID}")
    series = search(below(study, "series"))
    assert values(series, MODALITY) == ["DX", *values(series, MODALITY)[1:]]  # films first
    assert set(values(series, SERIES)) == {data.SeriesInstanceUID for data in given}
    assert values(series, "00201209") == [1, 1, 1]
    [whole] = search("studies")
    assert whole["00080061"]["Value"] == sorted({data.Modality for data in given})
    assert (whole["00201206"]["Value"], whole["00201208"]["Value"]) == ([3], [3])
    report = Result.objects.get(kind="sr")
    one = search(f"studies/{study.StudyInstanceUID}/series/{report.SeriesInstanceUID}/instances")
    assert values(one, INSTANCE) == [report.SOPInstanceUID]


def test_they_are_matched_and_paged_like_films(search, study) -> None:
    report = Result.objects.get(kind="sr")
    assert values(search(below(study), Modality="SR"), INSTANCE) == [report.SOPInstanceUID]
    assert values(search(below(study), SOPInstanceUID=report.SOPInstanceUID), INSTANCE) == [
        report.SOPInstanceUID
    ]
    assert search(below(study), Modality="SR", PatientID="nobody") == []
    assert values(search(below(study, "series"), Modality="SR"), SERIES) == [report.SeriesInstanceUID]
    whole = values(search(below(study)), INSTANCE)
    for level, uids in (("instances", whole), ("series", values(search(below(study, "series")), SERIES))):
        tag = INSTANCE if level == "instances" else SERIES
        paged = [search(below(study, level), limit="1", offset=str(at)) for at in range(4)]
        assert [values(rows, tag) for rows in paged] == [[uids[0]], [uids[1]], [uids[2]], []]


def test_what_is_superseded_is_not_listed(search, study) -> None:
    Study.objects.update(PatientID="4712")  # what they rest on is another
    assert len(search(below(study))) == 1
    [whole] = search("studies")
    assert whole["00201208"]["Value"] == [1]


def test_a_blind_reader_is_told_of_films_alone(search, study, radiologist) -> None:
    assert len(search(below(study), radiologist)) == 1
    assert len(search(below(study, "series"), radiologist)) == 1
    [whole] = search("studies", radiologist)
    assert (whole["00080061"]["Value"], whole["00201208"]["Value"]) == (["DX"], [1])
    report = Result.objects.get(kind="sr")
    hidden = f"/dicom-web/studies/{study.StudyInstanceUID}/series/{report.SeriesInstanceUID}/instances"
    assert radiologist.get(hidden).status_code == 404
    for step in ("", "commit/"):
        radiologist.post(f"/radiology/studies/{study.public_id}/read/{step}")
    assert len(search(below(study), radiologist)) == 3


def test_without_the_check_the_reader_would_know(search, study, radiologist, monkeypatch) -> None:
    monkeypatch.setattr(listed_results, "opened_to", lambda user, studies: {one.pk for one in studies})
    assert len(search(below(study), radiologist)) == 3


def test_a_page_costs_as_many_queries_as_one_row(search, read, study) -> None:
    read(film(seed=3), Effusion=(0.9, 0.4))
    settle()
    counts = []
    for limit in ("1", "2"):
        with CaptureQueriesContext(connection) as queries:
            assert len(search("studies", limit=limit)) == int(limit)
        counts.append(len(queries))
    assert counts[0] == counts[1]
