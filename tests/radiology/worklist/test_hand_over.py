"""A study left to a colleague: the lock, the text, a word, and what its giver knew."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.radiology.models import Exposure, Mark, Read, Study, StudyLock
from apps.radiology.reading import handed
from apps.radiology.reading.services import reads
from tests.radiology.worklist.conftest import ids, row_of

HANDED = ("read.handed_over", "read.taken_on")


@pytest.fixture
def study(received, judged) -> Study:
    return judged(received(), Effusion=(0.83, 0.41)).study


@pytest.fixture
def colleague(make_user) -> Client:
    person = Client()
    person.force_login(make_user("radiologist", email="c@example.org", full_name="Dr Colleague"))
    return person


def door(study: Study, what: str = "") -> str:
    return f"/radiology/studies/{study.public_id}/read/{what and what + '/'}"


def give(client: Client, study: Study, **form: str):
    return client.post(door(study, "hand-over"), {"text": "Half a report", "verdict-0": "present", **form})


def colleague_pk() -> str:
    return str(User.objects.get(email="c@example.org").pk)


def test_it_works(radiologist, study, colleague) -> None:
    radiologist.post(door(study))
    answer = give(radiologist, study, to=colleague_pk(), note="Please, I am called away")
    assert answer.status_code == 302
    assert StudyLock.objects.get().by.email == "c@example.org"
    assert "you read" in row_of(colleague.get("/radiology/"), study)
    assert ids(colleague.get("/radiology/?reading=mine")) == [str(study.public_id)]
    page = colleague.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "Please, I am called away" in page
    assert "They had marked" not in page  # before they took it
    assert colleague.post("/radiology/next/")["location"] == f"/radiology/studies/{study.public_id}/"
    page = colleague.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "Half a report" in page
    assert "They had marked" in page
    mine = Read.objects.get(reader__email="c@example.org")
    assert not mine.marks.exists()  # a mark stays its maker's
    assert Mark.objects.get().read.reader.email == "radiologist@example.org"
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert [one for one in actions if one in HANDED] == list(HANDED)


def test_for_whoever_is_next(radiologist, study, colleague) -> None:
    radiologist.post(door(study))
    give(radiologist, study)
    assert not StudyLock.objects.exists()
    assert "left by radiologist@example.org" in row_of(colleague.get("/radiology/"), study)
    assert colleague.post("/radiology/next/")["location"] == f"/radiology/studies/{study.public_id}/"


def test_what_is_left_by_name_is_nobody_elses_next(radiologist, study, colleague, make_user) -> None:
    radiologist.post(door(study))
    give(radiologist, study, to=colleague_pk())
    StudyLock.objects.all().delete()  # it expired
    third = Client()
    third.force_login(make_user("radiologist", email="t@example.org"))
    assert third.post("/radiology/next/")["location"] == "/radiology/"
    assert colleague.post("/radiology/next/")["location"] != "/radiology/"


def test_only_who_holds_it_gives_it_and_only_to_a_colleague(
    radiologist, study, colleague, make_user, other_site
) -> None:
    assert give(radiologist, study).status_code == 409
    radiologist.post(door(study))
    stranger = make_user("radiologist", email="s@example.org", site=other_site)
    analyst = make_user("fraud_analyst", email="f@example.org")
    for nobody in (stranger.pk, analyst.pk, "x", User.objects.get(email="radiologist@example.org").pk):
        assert give(radiologist, study, to=str(nobody)).status_code == 422
    assert give(radiologist, study, note="x" * 501).status_code == 422
    assert give(colleague, study).status_code == 409
    assert StudyLock.objects.get().by.email == "radiologist@example.org"


def taken_after_the_commit(radiologist: Client, study: Study, colleague: Client) -> Read:
    radiologist.post(door(study))
    radiologist.post(door(study, "commit"))
    give(radiologist, study, to=colleague_pk(), note="The model sees an effusion")
    page = colleague.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "their note opens to who takes" in page
    assert "sees an effusion" not in page
    colleague.post(door(study))
    assert "sees an effusion" in colleague.get(f"/radiology/studies/{study.public_id}/").content.decode()
    colleague.post(door(study, "commit"))
    return Read.objects.get(reader__email="c@example.org")


def test_after_its_giver_saw_the_model_a_read_is_not_blind(radiologist, study, colleague) -> None:
    assert taken_after_the_commit(radiologist, study, colleague).ai_exposure == Exposure.FULL


def test_the_check_would_notice_a_hand_over_that_forgets(radiologist, study, colleague, monkeypatch) -> None:
    monkeypatch.setattr(reads, "told_of_ai", lambda read: False)
    assert taken_after_the_commit(radiologist, study, colleague).ai_exposure == Exposure.RANK
    assert handed.told_of_ai(Read.objects.get(reader__email="c@example.org"))
