"""QIDO-RS lists our own objects as WADO-RS gives them: the same ones, to the same callers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.clock import now
from apps.radiology.documents import listed_results
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
    Study.objects.update(PatientID="4712", changed_at=now())  # what they rest on is another
    assert len(search(below(study))) == 1
    assert len(search("instances")) == len(search("series")) == 1
    Study.objects.update(PatientID="4711", changed_at=now())
    assert len(search("instances")) == 3
    Study.objects.update(PatientID="4712", changed_at=now())
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
    monkeypatch.setattr(listed_results, "opened_studies", lambda user, studies: studies)
    assert len(search(below(study), radiologist)) == 3
    assert len(search("instances", radiologist)) == len(search("series", radiologist)) == 3


@pytest.fixture
def two(study, read) -> list[Study]:
    """Another study with results beside the first; the newer one first."""
    read(film(seed=3), Effusion=(0.9, 0.4))
    settle()
    return list(Study.objects.order_by("-pk"))


def test_across_studies_they_are_listed_as_within_each(search, two) -> None:
    films, made = two[0].instances, [Result.objects.filter(study=one) for one in two]
    assert made[0].count() == made[1].count() == 2
    listed = values(search("instances"), INSTANCE)
    assert listed[:2] == [study.instances.get().SOPInstanceUID for study in two]  # films first
    assert len(listed) == 6
    within = [values(search(below(study)), INSTANCE) for study in two]
    assert {*listed} == {*within[0], *within[1]}
    assert len(search("instances", StudyInstanceUID=two[0].StudyInstanceUID)) == 3
    assert values(search("instances", Modality="SR"), INSTANCE) == [
        own.get(kind="sr").SOPInstanceUID for own in made
    ]
    [one] = search("series", Modality="SR", StudyInstanceUID=two[1].StudyInstanceUID)
    assert one["0020000D"]["Value"] == [two[1].StudyInstanceUID]
    assert (one[MODALITY]["Value"], one["00201209"]["Value"]) == (["SR"], [1])
    assert one["00081190"]["Value"][0].endswith(f"/series/{made[1].get(kind='sr').SeriesInstanceUID}")
    assert films.count() == 1
    assert len(search("series")) == 6


@pytest.mark.parametrize(("level", "tag"), [("series", SERIES), ("instances", INSTANCE)])
def test_across_studies_pages_end_and_hide_none(search, two, level, tag) -> None:
    whole = values(search(level), tag)
    assert len({*whole}) == 6
    paged = [search(level, limit="2", offset=str(at)) for at in (0, 2, 4, 6)]
    assert [values(rows, tag) for rows in paged] == [whole[:2], whole[2:4], whole[4:], []]
    assert values(search(level, limit="3", offset="1"), tag) == whole[1:4]


def test_across_studies_a_reader_finds_results_of_what_they_committed(search, two, radiologist) -> None:
    mine = two[1]
    for step in ("", "commit/"):
        radiologist.post(f"/radiology/studies/{mine.public_id}/read/{step}")
    found = search("instances", radiologist)
    assert len(found) == 4
    results = [row for row in found if row[MODALITY]["Value"] != ["DX"]]
    assert {*values(results, "0020000D")} == {mine.StudyInstanceUID}
    assert {*values(search("series", radiologist, Modality="SR,OT"), "0020000D")} == {mine.StudyInstanceUID}


def test_another_site_finds_none_of_them(client, two, other_token) -> None:
    headers = {"authorization": f"Bearer {other_token}"}
    for level in ("series", "instances"):
        assert client.get(f"/dicom-web/{level}", {"Modality": "SR"}, headers=headers).status_code == 204


def test_a_page_costs_as_many_queries_as_one_row(search, read, study) -> None:
    read(film(seed=3), Effusion=(0.9, 0.4))
    settle()
    counts = []
    for limit in ("1", "2"):
        with CaptureQueriesContext(connection) as queries:
            assert len(search("studies", limit=limit)) == int(limit)
        counts.append(len(queries))
    assert counts[0] == counts[1]
