"""QIDO-RS: searching for studies, series and instances, by hand and with another's client."""

from __future__ import annotations

from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset

from apps.audit.models import AuditEvent
from apps.radiology.api import matching, qido
from apps.radiology.common.selectors import study_by_uid
from apps.radiology.intake.services.patients import merge_patients
from tests.radiology.dicomweb import JSON, instance_of, read, series_of, study_of
from tests.radiology.test_rejections import QUALITY, note

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"


def values(rows: list[dict[str, Any]], tag: str = STUDY) -> list[Any]:
    return [row[tag]["Value"][0] for row in rows]


@pytest.fixture
def three(take) -> list[Dataset]:
    """Three studies, the oldest first: of two patients, by two modalities."""
    jane = {"PatientID": "4711", "PatientName": "Doe^Jane^Ann", "PatientBirthDate": "19700101"}
    return [
        take(**jane, StudyDate="20250101", StudyTime="0815", StudyDescription="CHEST PA", seed=1),
        take(**jane, StudyDate="20250315", StudyTime="101530.5", Modality="CR", AccessionNumber="A2", seed=2),
        take(
            PatientID="O'Neil_1",
            PatientName="O'Neil^Bob=山田^太郎",
            SpecificCharacterSet="ISO_IR 192",
            StudyDate="20260101",
            seed=3,
        ),
    ]


def test_it_works(ask, three) -> None:
    answer = ask("studies", JSON)
    assert (answer.status_code, answer["Content-Type"]) == (200, JSON)
    rows = read(answer)
    assert values(rows) == [data.StudyInstanceUID for data in reversed(three)]
    last = rows[2]
    assert last["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane^Ann"}]}
    assert rows[0]["00100010"]["Value"] == [{"Alphabetic": "O'Neil^Bob", "Ideographic": "山田^太郎"}]
    assert last["00080020"] == {"vr": "DA", "Value": ["20250101"]}
    assert last["00080061"] == {"vr": "CS", "Value": ["DX"]}
    assert last["00201206"] == {"vr": "IS", "Value": [1]}
    assert last["00201208"] == {"vr": "IS", "Value": [1]}
    assert last["00080056"]["Value"] == ["ONLINE"]
    assert last["00080090"] == {"vr": "PN"}
    assert last["00081190"]["Value"] == [f"http://testserver/dicom-web/{study_of(three[0])}"]
    assert "00081030" not in last
    event = AuditEvent.objects.get(action="studies.searched")
    assert event.detail == {"level": "studies", "matched": [], "found": 3, "offset": 0}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"PatientID": "4711"}, [1, 0]),
        ({"00100020": "4711"}, [1, 0]),
        ({"PatientID": "471*"}, [1, 0]),
        ({"PatientID": "47?1"}, [1, 0]),
        ({"PatientID": "471"}, []),
        ({"PatientID": "O'Neil_1"}, [2]),
        ({"PatientID": "O'Neil%"}, []),
        ({"PatientID": "4_11"}, []),
        ({"PatientID": ".*"}, []),
        ({"PatientID": "O'Neil_?"}, [2]),
        ({"PatientID": "[O(]*\\d+{2}?$#&~ -"}, []),
        ({"PatientName": "o'neil^*"}, [2]),
        ({"PatientName": "(doe|x)*"}, []),
        ({"PatientName": "^^ ,=", "fuzzymatching": "true"}, [2, 1, 0]),
        ({"PatientID": "*"}, [2, 1, 0]),
        ({"PatientID": ""}, [2, 1, 0]),
        ({"PatientName": "doe^jane^ann"}, [1, 0]),
        ({"PatientName": "DOE^JANE^ANN^^"}, [1, 0]),
        ({"PatientName": "doe*"}, [1, 0]),
        ({"PatientName": "*jane*"}, [1, 0]),
        ({"PatientName": "doe"}, []),
        ({"PatientName": "山田*"}, [2]),
        ({"PatientName": "jane doe", "fuzzymatching": "true"}, [1, 0]),
        ({"PatientName": "do an", "fuzzymatching": "true"}, [1, 0]),
        ({"PatientName": "ane", "fuzzymatching": "true"}, []),
        ({"PatientName": "jane doe", "fuzzymatching": "false"}, []),
        ({"PatientBirthDate": "19700101"}, [1, 0]),
        ({"StudyDate": "20250315"}, [1]),
        ({"StudyDate": "20250101-20250315"}, [1, 0]),
        ({"StudyDate": "20250102-"}, [2, 1]),
        ({"StudyDate": "-20250102"}, [0]),
        ({"StudyTime": "0815"}, [0]),
        ({"StudyTime": "08-10"}, [1, 0]),
        ({"StudyTime": "10-"}, [1]),
        ({"AccessionNumber": "A2"}, [1]),
        ({"AccessionNumber": "a2"}, []),
        ({"StudyDescription": "*chest*"}, [0]),
        ({"ModalitiesInStudy": "CR"}, [1]),
        ({"ModalitiesInStudy": "CR\\DX"}, [2, 1, 0]),
        ({"ModalitiesInStudy": "CR,MR"}, [1]),
        ({"Modality": "CR"}, [1]),
        ({"PatientID": "4711", "StudyDate": "2025010-1"}, 400),
        ({"StudyDate": "20250101-20250315", "ModalitiesInStudy": "DX"}, [0]),
    ],
)
def test_studies_match(ask, three, query, found) -> None:
    answer = ask("studies", query=query)
    if found == 400:
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_query")
        return
    rows = [] if answer.status_code == 204 else read(answer)
    assert values(rows) == [three[n].StudyInstanceUID for n in found]


@pytest.mark.parametrize("way", [",", "\\", None])
def test_a_list_of_uids_matches_each(ask, three, way) -> None:
    two = [three[0].StudyInstanceUID, three[2].StudyInstanceUID]
    rows = read(ask("studies", query={"StudyInstanceUID": two if way is None else way.join(two)}))
    assert values(rows) == two[::-1]
    assert values(read(ask("studies", query={"SOPInstanceUID": three[1].SOPInstanceUID}))) == [
        three[1].StudyInstanceUID
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"Nonsense": "1"}, "unknown_attribute"),
        ({"patientid": "1"}, "unknown_attribute"),
        ({"00100000": "1"}, "unknown_attribute"),
        ({"includefield": "Nonsense"}, "unknown_attribute"),
        ({"StudyDate": "2025"}, "bad_query"),
        ({"StudyDate": "-"}, "bad_query"),
        ({"StudyInstanceUID": "1.2.x"}, "bad_query"),
        ({"StudyInstanceUID": ",".join(["1.2"] * 501)}, "bad_query"),
        ({"PatientID": "a\0b"}, "bad_query"),
        ({"PatientID": "a" * 257}, "bad_query"),
        ({"PatientID": ["1", "2"]}, "bad_query"),
        ({"limit": "-1"}, "bad_query"),
        ({"limit": "x"}, "bad_query"),
        ({"offset": "9999999"}, "bad_query"),
    ],
)
def test_what_cannot_be_understood_is_400_and_not_repeated(ask, three, query, code) -> None:
    answer = ask("studies", query=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not AuditEvent.objects.filter(action="studies.searched").exists()


def test_what_is_known_and_not_held_is_ignored_aloud(ask, three) -> None:
    query = {"OperatorsName": "X", "00400275.00080050": "1", "PatientID": "4711"}
    answer = ask("studies", query=query)
    assert len(read(answer)) == 2
    assert answer["Warning"] == '299 Lynceus "Not matched on: OperatorsName"'


def test_nothing_found_is_204(ask, three) -> None:
    answer = ask("studies", query={"PatientID": "nobody"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_pages_come_one_after_the_other_and_end(ask, three) -> None:
    pages = [ask("studies", query={"limit": 2, "offset": offset}) for offset in (0, 2, 4)]
    assert [page.status_code for page in pages] == [200, 200, 204]
    assert values(read(pages[0]) + read(pages[1])) == [data.StudyInstanceUID for data in reversed(three)]
    assert "additional results" in pages[0]["Warning"]
    assert "Warning" not in pages[1]
    assert ask("studies", query={"limit": 0}).status_code == 204


def test_a_limit_is_capped(ask, three, monkeypatch) -> None:
    monkeypatch.setattr(matching, "LIMIT_MAX", 2)
    assert len(read(ask("studies", query={"limit": 100000}))) == 2


@pytest.mark.parametrize("field", ["StudyDescription", "00081030", "00080090,00081030", "all"])
def test_a_field_is_included_by_keyword_or_tag(ask, three, field) -> None:
    [row] = read(
        ask("studies", query={"AccessionNumber": "A1", "StudyDate": "20250101", "includefield": field})
    )
    assert row["00081030"]["Value"] == ["CHEST PA"]


def test_series_and_instances(ask, take, three) -> None:
    data = three[0]
    second = take(StudyInstanceUID=data.StudyInstanceUID, SeriesInstanceUID=data.SeriesInstanceUID, seed=7)
    other = take(StudyInstanceUID=data.StudyInstanceUID, Modality="CR", seed=8)
    series = read(ask(f"{study_of(data)}/series"))
    assert set(values(series, SERIES)) == {data.SeriesInstanceUID, other.SeriesInstanceUID}
    [one] = [row for row in series if row[SERIES]["Value"] == [data.SeriesInstanceUID]]
    assert one["00201209"]["Value"] == [2]
    assert one["00080060"]["Value"] == ["DX"]
    assert one["00081190"]["Value"][0].endswith(series_of(data))
    assert one[STUDY]["Value"] == [data.StudyInstanceUID]
    assert "00100010" not in one
    films = read(ask(f"{series_of(data)}/instances"))
    assert set(values(films, INSTANCE)) == {data.SOPInstanceUID, second.SOPInstanceUID}
    assert films[0]["00280010"]["Value"] == [96]
    assert films[0]["00081190"]["Value"][0].endswith("/instances/" + films[0][INSTANCE]["Value"][0])
    assert len(read(ask(f"{study_of(data)}/instances"))) == 3
    assert len(read(ask(f"{study_of(data)}/instances", query={"Modality": "CR"}))) == 1
    assert len(read(ask("series"))) == 4
    anywhere = read(ask("instances", query={"PatientID": "4711", "Modality": "CR"}))
    assert len(anywhere) == 2
    assert anywhere[0]["00100020"]["Value"] == ["4711"]
    # Totals are the series' own, whatever was asked for of it.
    [again] = read(ask("series", query={"SOPInstanceUID": data.SOPInstanceUID}))
    assert again["00201209"]["Value"] == [2]
    [whole] = read(ask("studies", query={"SOPInstanceUID": data.SOPInstanceUID}))
    assert whole["00201208"]["Value"] == [3]
    assert whole["00080061"]["Value"] == ["CR", "DX"]


@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_a_page_costs_as_many_queries_as_one_row(ask, three, level) -> None:
    counts = []
    for limit in (1, 2):  # the last page looks further, whether there are results behind the films
        with CaptureQueriesContext(connection) as queries:
            assert len(read(ask(level, query={"limit": limit}))) == limit
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
class TestAnotherClient:
    def test_it_pages_to_the_end(self, web: DICOMwebClient, three) -> None:
        newest_first = [data.StudyInstanceUID for data in reversed(three)]
        assert values(web.search_for_studies(limit=1, offset=1)) == newest_first[1:2]
        assert values(web.search_for_studies(limit=1, get_remaining=True)) == newest_first
        found = web.search_for_studies(
            fuzzymatching=True,
            search_filters={"PatientName": "jane"},
            fields=["StudyDescription", "00080090"],
        )
        assert values(found) == newest_first[1:]
        assert found[1]["00081030"]["Value"] == ["CHEST PA"]
        assert web.search_for_studies(search_filters={"PatientID": "nobody"}) == []
        assert Dataset.from_json(found[0]).PatientName == "Doe^Jane^Ann"

    def test_it_looks_into_a_study(self, web: DICOMwebClient, three) -> None:
        data = three[0]
        [series] = web.search_for_series(data.StudyInstanceUID, search_filters={"Modality": "DX"})
        assert series[SERIES]["Value"] == [data.SeriesInstanceUID]
        [one] = web.search_for_instances(data.StudyInstanceUID, data.SeriesInstanceUID)
        assert one[INSTANCE]["Value"] == [data.SOPInstanceUID]
        assert len(web.search_for_series(get_remaining=True, limit=1)) == 3
        assert len(web.search_for_instances(get_remaining=True, limit=2)) == 3


# What is searched is current, in use, and the caller's.


def test_a_merged_patient_is_found_under_the_number_that_counts(ask, three, make_user, site) -> None:
    merge_patients(site, ("4711", ""), ("O'Neil_1", ""), note="x", by=make_user("radiologist"))
    assert ask("studies", query={"PatientID": "4711"}).status_code == 204
    rows = read(ask("studies", query={"PatientID": "O'Neil_1"}))
    assert len(rows) == 3
    assert {name["Alphabetic"] for row in rows for name in row["00100010"]["Value"]} == {"O'Neil^Bob"}


def test_a_rejected_film_is_not_found_nor_counted(ask, three, take, arrive) -> None:
    data = three[0]
    other = take(StudyInstanceUID=data.StudyInstanceUID, Modality="CR", seed=9)
    arrive(note(QUALITY, other))
    [row] = read(ask("studies", query={"StudyInstanceUID": data.StudyInstanceUID}))
    assert (row["00080061"]["Value"], row["00201208"]["Value"]) == (["DX"], [1])
    assert ask("studies", query={"SOPInstanceUID": other.SOPInstanceUID}).status_code == 204
    assert len(read(ask(f"{study_of(data)}/series"))) == 1
    assert ask(f"{series_of(other)}/instances").status_code == 404
    arrive(note(QUALITY, data))
    assert ask("studies", query={"StudyInstanceUID": data.StudyInstanceUID}).status_code == 204
    assert ask(f"{study_of(data)}/series").status_code == 404


LISTS = ["studies", "series", "instances"]


def within(data: Dataset) -> list[str]:
    return [f"{study_of(data)}/series", f"{study_of(data)}/instances", f"{series_of(data)}/instances"]


def test_another_site_finds_nothing(ask, three, other_token) -> None:
    assert [ask(level, token=other_token).status_code for level in LISTS] == [204] * 3
    for name in ("StudyInstanceUID", "SOPInstanceUID"):
        query = {name: getattr(three[0], name)}
        assert [ask(level, query=query, token=other_token).status_code for level in LISTS] == [204] * 3
    assert [ask(path).status_code for path in within(three[0])] == [200] * 3
    assert [ask(path, token=other_token).status_code for path in within(three[0])] == [404] * 3


def test_without_the_check_of_the_site_it_would(ask, three, other_token, site, monkeypatch) -> None:
    real_studies, real_films = qido._studies, qido._films
    monkeypatch.setattr(qido, "_studies", lambda _, asked: real_studies(site, asked))
    monkeypatch.setattr(qido, "_films", lambda _, asked: real_films(site, asked))
    monkeypatch.setattr(qido, "study_by_uid", lambda _, uid: study_by_uid(site, uid))
    assert [ask(level, token=other_token).status_code for level in LISTS] == [200] * 3
    assert [ask(path, token=other_token).status_code for path in within(three[0])] == [200] * 3


# What OHIF asks (its DICOMweb data source), as it asks.


def test_a_viewer_finds_opens_and_shows_a_study(ask, three) -> None:
    query = {
        "PatientName": "*Doe*", "00100020": "*47*", "limit": "101", "offset": "0", "fuzzymatching": "false",
        "includefield": "00081030,00080060,00080090,00100030", "StudyDate": "19700102-20260101",
        "StudyDescription": "*chest*",
    }  # fmt: skip
    [row] = read(ask("studies", JSON, query))
    assert row["00100030"]["Value"] == ["19700101"]
    data = three[0]
    [series] = read(ask(f"{study_of(data)}/series", JSON, {"includefield": "0008103E,00080021"}))
    assert series["0008103E"] == {"vr": "LO"}
    assert (
        len(read(ask(f"{study_of(data)}/series", JSON, {"SeriesInstanceUID": data.SeriesInstanceUID}))) == 1
    )
    [said] = read(ask(f"{series_of(data)}/metadata", JSON))
    assert said[INSTANCE]["Value"] == [data.SOPInstanceUID]
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    assert ask(f"{instance_of(data)}/frames/1", accept).status_code == 200
    first = {"limit": 1, "includefield": INSTANCE}
    assert len(read(ask(f"{series_of(data)}/instances", JSON, first))) == 1
