"""What a program is told about a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import ApiClient
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Study
from tests.radiology.conftest import as_file, film


@pytest.fixture
def ask(client, token) -> Callable[[str], Any]:
    return lambda uid: client.get(f"/api/v1/studies/{uid}", headers={"authorization": f"Bearer {token}"})


def test_it_works(received, judged, ask) -> None:
    data = film()
    first = received(as_file(data))
    second = received(StudyInstanceUID=data.StudyInstanceUID)
    judged(first, Effusion=(0.5, 0.4), Nodule=(0.2, 0.3))
    judged(second, Effusion=(0.3, 0.4), Nodule=(0.25, 0.3))
    body = ask(data.StudyInstanceUID).json()
    assert (body["study_instance_uid"], body["status"], body["reason"]) == (
        data.StudyInstanceUID,
        "analysed",
        "",
    )
    assert body["model_version"] == 3
    assert body["findings"] == [
        {
            "label": "Effusion",
            "says": "pleural effusion",
            "code": {"value": "60046008", "scheme": "SCT", "meaning": "Pleural effusion"},
            "probability": 0.5,
            "operating_point": 0.4,
            "positive": True,
        },
        {
            "label": "Nodule",
            "says": "nodule",
            "code": {"value": "27925004", "scheme": "SCT", "meaning": "Nodule"},
            "probability": 0.25,
            "operating_point": 0.3,
            "positive": False,
        },
    ]
    assert body["statement"].startswith(
        "Raised by AI: pleural effusion. Looked for: nodule, pleural effusion."
    )
    by_uid = {one["sop_instance_uid"]: one for one in body["instances"]}
    assert set(by_uid) == {first.SOPInstanceUID, second.SOPInstanceUID}
    assert by_uid[second.SOPInstanceUID]["findings"][0]["probability"] == 0.25
    assert by_uid[second.SOPInstanceUID]["statement"].startswith("No finding above its operating point.")
    assert AuditEvent.objects.filter(action="study.viewed").count() == 1


def test_before_the_worker_came(received, ask) -> None:
    body = ask(received().study.StudyInstanceUID).json()
    assert (body["status"], body["findings"], body["model_version"]) == ("received", [], None)
    assert (body["statement"], body["instances"][0]["statement"]) == ("", "")


def test_while_no_model_serves_the_reason_says_so(received, ask) -> None:
    instance = received()
    analyse_instance(instance.pk)
    body = ask(instance.study.StudyInstanceUID).json()
    assert body["status"] == "received"
    assert "no model" in body["reason"]


def test_not_analysed_and_refused_carry_their_reason(received, ask) -> None:
    data = film(Rows=200)
    refused = received(as_file(data))
    analyse_instance(refused.pk)
    body = ask(data.StudyInstanceUID).json()
    assert (body["status"], body["instances"][0]["reason_code"]) == ("refused", "truncated")
    analyse_instance(received(StudyInstanceUID=data.StudyInstanceUID, ViewPosition="LL").pk)
    body = ask(data.StudyInstanceUID).json()
    assert body["status"] == "not_analysed"
    assert body["reason"] == "Not analysed: lateral view."
    assert {one["status"] for one in body["instances"]} == {"refused", "not_analysed"}


def test_the_number_of_queries_does_not_grow_with_the_films(
    received, judged, ask, django_assert_num_queries
) -> None:
    data = film()
    judged(received(as_file(data)), Effusion=(0.5, 0.4))
    with CaptureQueriesContext(connection) as for_one:
        ask(data.StudyInstanceUID)
    count = len(for_one)
    for _ in range(4):
        judged(received(StudyInstanceUID=data.StudyInstanceUID), Effusion=(0.5, 0.4))
    with django_assert_num_queries(count):
        assert len(ask(data.StudyInstanceUID).json()["instances"]) == 5


def test_another_sites_study_is_not_found(received, ask, other_site) -> None:
    uid = received().study.StudyInstanceUID
    Study.objects.update(site=other_site)
    assert ask(uid).status_code == 404
    assert ask("1.2.3").status_code == 404
    assert ask("nonsense").json()["code"] == "not_found"


def test_who_may_ask(received, client, site, make_user) -> None:
    path = f"/api/v1/studies/{received().study.StudyInstanceUID}"
    assert client.get(path).status_code == 200  # the radiologist who sent it
    client.logout()
    assert client.get(path).status_code == 401
    bank = rotate_secret(ApiClient.objects.create(site=site, name="bank", scopes=["fraud"]))
    assert client.get(path, headers={"authorization": f"Bearer {bank}"}).status_code == 403
    for role in ("fraud_analyst", "ml_admin", "auditor", "operator"):
        client.force_login(make_user(role))
        assert client.get(path).status_code == 403
