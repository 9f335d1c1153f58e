"""A result at the doors: who gets it, and that none is ever analysed again, wherever it comes from."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from django.test import Client
from pydicom.dataset import Dataset

from apps.audit.models import AuditEvent
from apps.radiology.analysis.inference import Champion
from apps.radiology.analysis.services import analyse
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.intake.services import ingest
from apps.radiology.models import Analysis, Instance, Result, ResultKind, Status, Study
from ml.radiology import gate
from ml.radiology.contracts import ACCEPTED, FindingScore, ImagePrediction, InstanceHeader
from tests.radiology.conftest import as_file, film
from tests.radiology.results.conftest import path_of, settle
from tests.radiology.test_cstore import associate, port  # noqa: F401
from tests.radiology.test_other_clients import dcmtk, file_of  # noqa: F401
from tests.radiology.test_stow import failures, fetch, stow  # noqa: F401

KINDS = [ResultKind.REPORT, ResultKind.CAPTURE]

pytestmark = pytest.mark.usefixtures("concurrent")


@pytest.fixture
def made(read: Callable[..., Instance]) -> Callable[[str], Result]:
    read(Effusion=(0.81, 0.4))
    settle()
    return lambda kind: Result.objects.get(kind=kind)


def series_of(result: Result) -> str:
    return f"/dicom-web/studies/{result.study.StudyInstanceUID}/series/{result.SeriesInstanceUID}"


@pytest.fixture
def anything_is_found(version, monkeypatch) -> None:
    """A model in service that calls effusion on whatever reaches it."""

    class Eager:
        def admits(self, header: InstanceHeader) -> Any:
            return ACCEPTED

        def judge(self, films: Any) -> list[ImagePrediction]:
            return [ImagePrediction((FindingScore("Effusion", 0.9, 0.4, True),)) for _ in films]

    monkeypatch.setattr(analyse, "current_champion", lambda: Champion(version.pk, "", Eager()))


def test_it_works(made, radiologist, fetch) -> None:  # noqa: F811
    page = radiologist.get(f"/radiology/studies/{Study.objects.get().public_id}/").content.decode()
    for kind, words in ((ResultKind.REPORT, "Structured report"), (ResultKind.CAPTURE, "Secondary capture")):
        result = made(kind)
        address = f"/radiology/results/{result.public_id}.dcm"
        assert f'href="{address}">{words}' in page
        answer = radiologist.get(address)
        assert answer["Content-Type"] == "application/dicom" and "attachment" in answer["Content-Disposition"]
        assert b"".join(answer.streaming_content) == path_of(result).read_bytes()
        series = series_of(result)
        for path in (series, f"{series}/instances/{result.SOPInstanceUID}"):
            assert path_of(result).read_bytes() in b"".join(fetch(path).streaming_content)
    assert AuditEvent.objects.filter(action="result.retrieved").count() == 2
    assert AuditEvent.objects.filter(action="study.retrieved").count() == 4


def test_what_no_longer_holds_is_given_to_nobody(made, radiologist, fetch) -> None:  # noqa: F811
    result = made(ResultKind.REPORT)
    address = f"/radiology/results/{result.public_id}.dcm"
    series = series_of(result)
    assert (radiologist.get(address).status_code, fetch(series).status_code) == (200, 200)
    Study.objects.update(PatientID="4712")
    assert (radiologist.get(address).status_code, fetch(series).status_code) == (404, 404)
    Study.objects.update(changed_at="2100-01-01T00:00Z")
    settle()
    assert Result.objects.filter(kind=ResultKind.REPORT, superseded_at=None).count() == 1
    assert (radiologist.get(address).status_code, fetch(series).status_code) == (404, 404)


def test_another_sites_result_is_not_found(made, radiologist, fetch, other_site) -> None:  # noqa: F811
    result = made(ResultKind.REPORT)
    address = f"/radiology/results/{result.public_id}.dcm"
    assert (radiologist.get(address).status_code, fetch(series_of(result)).status_code) == (200, 200)
    for model in (Study, Instance, Result):
        model.objects.update(site=other_site)
    assert radiologist.get(address).status_code == 404
    assert fetch(series_of(result)).status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_comes_back_by_dicomweb_or_browser_is_known(made, stow, send, stored, kind) -> None:  # noqa: F811
    result = made(kind)
    content, before = path_of(result).read_bytes(), stored()
    answer = stow(content)
    assert answer.status_code == 200
    [item] = Dataset.from_json(answer.content.decode()).ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == result.SOPInstanceUID
    assert str(item.RetrieveURL).endswith(result.SOPInstanceUID)
    [row] = send(content)
    assert row["state"] == "duplicate"
    assert failures(stow(content, study="1.2.3"))[0][1] == 0xA900
    assert (Instance.objects.count(), stored()) == (1, before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_one_that_comes_back_by_c_store_is_known(made, port, file_of, stored, kind) -> None:  # noqa: F811
    content, before = path_of(made(kind)).read_bytes(), stored()
    assert dcmtk("storescu", "-R", "127.0.0.1", str(port), file_of(content))[0] == 0
    assert (Instance.objects.count(), stored()) == (1, before)


def test_also_where_a_pacs_changed_its_header_on_the_way(made, send) -> None:
    data = pydicom.dcmread(path_of(made(ResultKind.CAPTURE)))
    data.Manufacturer, data.PatientID = "PACS", "4712"
    del data.ContributingEquipmentSequence
    [row] = send(as_file(data))
    assert row["state"] == "duplicate"
    assert Instance.objects.count() == 1


def test_another_object_under_a_reports_uid_is_no_report(made, send) -> None:
    data = film(SOPInstanceUID=made(ResultKind.REPORT).SOPInstanceUID, Manufacturer="Lynceus")
    assert send(as_file(data))[0]["state"] == "queued"


def foreign(**changes: Any) -> bytes:
    """A capture of another installation whose header claims to be a chest film, grey and for presentation."""
    return as_file(film(Manufacturer="LYNCEUS", ImageType=["ORIGINAL", "PRIMARY"], **changes))


def test_one_of_another_installation_is_stored_and_never_analysed(received, anything_is_found) -> None:
    instance = received(foreign())
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert (instance.status, instance.reason_code) == (Status.NOT_ANALYSED, "result")
    assert instance.reason == "Not analysed: the image is itself a result of an analysis."
    assert not Analysis.objects.exists()


def test_it_is_known_by_who_contributed_too(received, anything_is_found) -> None:
    maker = Dataset()
    maker.Manufacturer = "Lynceus"
    instance = received(
        foreign(ContributingEquipmentSequence=[Dataset(), maker]).replace(b"LYNCEUS ", b"Somebody")
    )
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert instance.reason_code == "result"


def test_without_that_check_it_would_be_analysed(received, anything_is_found, monkeypatch) -> None:
    monkeypatch.setattr(gate, "_origin", lambda header: None)
    instance = received(foreign())
    analyse_instance(instance.pk)
    assert Analysis.objects.get().instance == instance


def test_a_synthetic_film_is_no_result(received, anything_is_found) -> None:
    analyse_instance(received(Manufacturer="Lynceus synthetic").pk)
    assert Analysis.objects.count() == 1


def test_a_report_of_another_installation_is_refused(made, send, other_site) -> None:
    content = path_of(made(ResultKind.REPORT)).read_bytes()
    Result.objects.update(site=other_site)
    [row] = send(content)
    assert (row["state"], row["code"]) == ("refused", "no_pixels")


def test_without_the_look_into_the_table_one_of_ours_would_be_a_film(made, send, monkeypatch) -> None:
    monkeypatch.setattr(ingest, "_result", lambda *args: None)
    content = path_of(made(ResultKind.CAPTURE)).read_bytes()
    assert send(content)[0]["state"] == "queued"
    assert Instance.objects.count() == 2


@pytest.mark.parametrize("role", ["fraud_analyst", "ml_admin", "auditor", "operator"])
def test_other_roles_stay_out(made, make_user, role) -> None:
    client = Client()
    client.force_login(make_user(role))
    assert client.get(f"/radiology/results/{made(ResultKind.REPORT).public_id}.dcm").status_code == 403


def test_an_open_page_hears_of_them_in_the_place_that_was_kept_for_them(read, radiologist) -> None:
    study = read(Effusion=(0.81, 0.4)).study
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert page.count('id="study-results"') == 1
    assert "A structured report is made once the study is complete." in page
    live = html.unescape(re.search(r'id="study-changes"[^>]*?hx-get="([^"]+)"', page, re.S)[1])
    settle()
    swapped = radiologist.get(live).content.decode().split('id="study-results"')[1]
    assert 'hx-swap-oob="true"' in swapped and "Structured report (DICOM)" in swapped
    again = re.search(r'hx-get="([^"]+)"', radiologist.get(live).content.decode())[1]
    assert radiologist.get(html.unescape(again)).status_code == 204
