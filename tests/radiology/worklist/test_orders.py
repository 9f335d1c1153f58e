"""PATCH /api/v1/studies/{uid}/order: what was ordered, from the program that knows."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import ApiClient
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.radiology.models import Study
from tests.radiology.worklist.conftest import row_of


def test_it_works(radiologist, received, order, client, token) -> None:
    study = received().study
    given = {"priority": "stat", "location": "ER 3", "clinical_question": "Pneumothorax after a line?"}
    answer = order(study.StudyInstanceUID, **given)
    assert (answer.status_code, answer.json()) == (
        200,
        {"study_instance_uid": study.StudyInstanceUID, **given},
    )
    row = row_of(radiologist.get("/radiology/"), study)
    assert all(text in row for text in ("STAT", "ER 3", "Pneumothorax after a line?"))
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "Pneumothorax after a line?" in page
    asked = client.get(
        f"/api/v1/studies/{study.StudyInstanceUID}", headers={"authorization": f"Bearer {token}"}
    )
    assert asked.json()["order"]["location"] == "ER 3"
    [event] = AuditEvent.objects.filter(action="order.changed")
    assert event.actor.startswith("client:")
    assert event.detail["priority"] == "stat"
    assert "ER 3" not in str(event.detail)


def test_what_is_left_out_stays_and_an_empty_text_takes_it_back(received, order) -> None:
    uid = received().study.StudyInstanceUID
    order(uid, priority="urgent", location="Ward 2")
    assert order(uid, clinical_question=" Tube? ").json() == {
        "study_instance_uid": uid, "priority": "urgent", "location": "Ward 2", "clinical_question": "Tube?",
    }  # fmt: skip
    assert order(uid, location="").json()["location"] == ""


def test_the_same_again_is_no_change(received, order) -> None:
    uid = received().study.StudyInstanceUID
    order(uid, priority="stat")
    before = Study.objects.get().changed_at
    assert order(uid, priority="stat").status_code == 200
    assert Study.objects.get().changed_at == before
    assert AuditEvent.objects.filter(action="order.changed").count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"priority": "now"},
        {"priority": None},
        {"location": "x" * 65},
        {"clinical_question": "x" * 401},
        {"location": "two\nlines"},
        {"location": "nul\x00"},
        {"raised": True},
        {"rank_at": "1970-01-01T00:00:00Z", "priority": "stat"},
    ],
)
def test_what_is_no_order_is_refused_and_changes_nothing(received, order, body) -> None:
    study = received().study
    answer = order(study.StudyInstanceUID, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    after = Study.objects.get()
    assert (after.changed_at, after.rank_at) == (study.changed_at, study.rank_at)


def test_who_may(received, order, site, other_token, make_user) -> None:
    uid = received().study.StudyInstanceUID
    bank = rotate_secret(ApiClient.objects.create(site=site, name="bank", scopes=["fraud"]))
    for bearer, status in (("", 401), ("lyn_nobody", 401), (bank, 403), (other_token, 404)):
        assert order(uid, bearer=bearer, priority="stat").status_code == status
    assert order("1.2.3", priority="stat").status_code == 404
    for role, status in (("radiologist", 200), ("operator", 403), ("fraud_analyst", 403)):
        person = Client()
        person.force_login(make_user(role, email=f"{role}2@example.org"))
        assert order(uid, bearer="", client=person, priority="urgent").status_code == status
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(make_user("radiologist", email="r3@example.org"))
    assert order(uid, bearer="", client=forged, priority="stat").status_code == 403
    assert Study.objects.get().priority == "urgent"
