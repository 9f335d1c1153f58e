"""A second reader, asked for or drawn: somebody else, who knows nothing of what the first one said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Exists, OuterRef, Q
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.radiology.common.services import draws
from apps.radiology.common.services.draws import throw
from apps.radiology.documents import reports
from apps.radiology.models import (
    Draw,
    Exposure,
    Purpose,
    ReadingPolicy,
    SecondRead,
    SecondReadDecline,
    Study,
    rank_of,
)
from apps.radiology.quality.quality import Asked
from apps.radiology.quality.readers import kappas
from apps.radiology.studies.services.quiet import complete_quiet_studies
from apps.radiology.studies.services.studies import sum_up
from apps.radiology.worklist import worklist
from tests.radiology.reads.conftest import page_of


def ask(client, study):
    return client.post(f"/radiology/studies/{study.public_id}/second-read/")


def listed(client, study) -> bool:
    return str(study.public_id) in client.get("/radiology/").content.decode()


def test_it_works(radiologist, other, study, read_by, site) -> None:
    """Asked for, it is on a colleague's list as such; they read blind; the pair counts."""
    first = read_by(radiologist, study, text="Blunted angle.", Effusion="present", Nodule="absent")
    assert not listed(other, study)
    assert ask(radiologist, study).status_code == 302
    worklist = other.get("/radiology/").content.decode()
    assert str(study.public_id) in worklist
    assert "second read" in worklist
    page = page_of(other, study)
    assert "A second read is asked for" in page
    assert "Blunted angle." not in page
    assert "Raised by AI: " not in page
    second = read_by(other, study, Effusion="present", Nodule="present", sign=False)
    assert second.ai_exposure == Exposure.RANK
    pair = SecondRead.objects.get()
    assert (pair.first, pair.read) == (first, second)
    assert not listed(other, study)
    assert "Read twice." in page_of(radiologist, study)
    found = {one.label: one.requested for one in kappas(site, Asked().since)}
    assert (found["Effusion"].n, found["Effusion"].observed, found["Nodule"].observed) == (1, 1.0, 0.0)


@pytest.fixture
def report_asked_for(radiologist, study, read_by) -> str:
    """The door of a signed report; a second read of its study is asked for."""
    read = read_by(radiologist, study, Effusion="present")
    ask(radiologist, study)
    return f"/radiology/reports/{read.public_id}/"


def test_the_first_readers_report_is_shut_until_the_second_has_committed(
    radiologist, other, study, read_by, report_asked_for
) -> None:
    assert other.get(report_asked_for).status_code == 404
    assert other.get(f"{report_asked_for}report.pdf").status_code == 404
    assert report_asked_for not in page_of(other, study)
    assert radiologist.get(report_asked_for).status_code == 200
    read_by(other, study, Effusion="absent", sign=False)
    assert other.get(report_asked_for).status_code == 200


def test_without_that_guard_it_would_be_open(other, report_asked_for, monkeypatch) -> None:
    monkeypatch.setattr(reports, "waits_for_second_read", lambda user: Q(pk=None))
    assert other.get(report_asked_for).status_code == 200


def test_it_is_never_the_first_reader(radiologist, study, read_by) -> None:
    read_by(radiologist, study, Effusion="present")
    ask(radiologist, study)
    assert not listed(radiologist, study)
    radiologist.post("/radiology/next/")
    read_by(radiologist, study, Effusion="absent")
    assert SecondRead.objects.get().read is None


def test_without_the_guard_their_list_would_ask_them(radiologist, study, read_by, monkeypatch) -> None:
    read_by(radiologist, study, Effusion="present")
    ask(radiologist, study)
    anybody = Exists(SecondRead.objects.filter(study=OuterRef("pk")))
    monkeypatch.setattr(worklist, "waits_for_second_read", lambda user: anybody)
    assert listed(radiologist, study)


def test_it_is_asked_for_once_and_not_before_a_commit(radiologist, other, study, press, read_by) -> None:
    ask(radiologist, study)
    press(study)
    ask(radiologist, study)
    assert not SecondRead.objects.exists()
    press(study, "commit")
    ask(other, study)
    ask(radiologist, study)
    assert SecondRead.objects.count() == 1


def test_a_retracted_first_read_asks_for_no_second(radiologist, other, study, press, read_by) -> None:
    read_by(radiologist, study, Effusion="present")
    ask(radiologist, study)
    press(study, "add", addendum="Another patient's film.", retracts="on")
    assert "second read" not in other.get("/radiology/").content.decode()


@pytest.fixture
def policy(site) -> ReadingPolicy:
    return ReadingPolicy.objects.create(site=site, second_read_rate=0.03, sample_rate=0.05)


@pytest.mark.parametrize(("value", "asked"), [(0.029, 1), (0.03, 0)])
def test_chance_asks_at_sign_off(radiologist, study, read_by, policy, monkeypatch, value, asked) -> None:
    monkeypatch.setattr(draws._chance, "random", lambda: value)
    read_by(radiologist, study, Effusion="present")
    assert SecondRead.objects.filter(requested_by=None).count() == asked
    thrown = Draw.objects.get(purpose=Purpose.SECOND_READ)
    assert (thrown.value, thrown.probability) == (value, 0.03)
    told = AuditEvent.objects.get(action="draw.thrown")
    assert told.detail == {"purpose": "second_read", "value": value, "probability": 0.03}


def test_what_was_thrown_holds(study, policy, monkeypatch) -> None:
    monkeypatch.setattr(draws._chance, "random", lambda: 0.01)
    assert throw(study, Purpose.SECOND_READ)
    ReadingPolicy.objects.update(second_read_rate=0.0)
    monkeypatch.setattr(draws._chance, "random", lambda: 0.99)
    assert throw(study, Purpose.SECOND_READ)
    assert Draw.objects.count() == 1


def test_a_site_that_set_no_rate_draws_nothing(radiologist, study, read_by) -> None:
    read_by(radiologist, study, Effusion="present")
    complete_quiet_studies()
    assert not Draw.objects.exists()


def test_the_sample_is_drawn_when_a_study_is_complete_and_nobody_is_told(
    radiologist, study, policy, settings, monkeypatch
) -> None:
    settings.LYNCEUS_STUDY_QUIET_S = 0
    monkeypatch.setattr(draws._chance, "random", lambda: 0.04)
    before = page_of(radiologist, study)
    assert complete_quiet_studies() == 1
    assert Draw.objects.get(study=study, purpose=Purpose.SAMPLE).chosen
    Study.objects.update(complete_at=None)
    complete_quiet_studies()
    assert Draw.objects.count() == 1
    for word in ("sample", "drawn", "random"):
        assert page_of(radiologist, study).lower().count(word) == before.lower().count(word)
    assert listed(radiologist, study)


def test_a_stat_study_goes_before_a_second_read_however_old(radiologist, other, study, read_by) -> None:
    Study.objects.update(priority="stat", received_at=now() - timedelta(days=90))
    read_by(radiologist, study, Effusion="present")
    ask(radiologist, study)
    study.refresh_from_db()
    assert study.rank_at > rank_of(now(), "stat", raised=False)
    place = study.rank_at
    assert place > rank_of(now() - timedelta(minutes=1), "routine", raised=False)
    sum_up(study.pk)  # as a film that is analysed anew does
    study.refresh_from_db()
    assert study.rank_at == place


# Declining.


def decline(client, study, reason: str = "I know the patient."):
    return client.post(f"/radiology/studies/{study.public_id}/second-read/decline/", {"reason": reason})


@pytest.fixture
def third(make_user) -> Client:
    colleague = Client()
    colleague.force_login(make_user("radiologist", email="third@north.example"))
    return colleague


@pytest.fixture
def asked(radiologist, study, read_by) -> Study:
    read_by(radiologist, study, text="Blunted angle.", Effusion="present")
    ask(radiologist, study)
    return study


def test_who_declines_is_asked_no_more_and_the_others_still_are(radiologist, other, third, asked) -> None:
    other.post(f"/radiology/studies/{asked.public_id}/read/")  # opened, locked, and then recognised
    assert "Decline the second read" in page_of(other, asked)
    assert decline(other, asked).status_code == 302
    assert not listed(other, asked)
    assert listed(third, asked)
    assert third.post("/radiology/next/").url.endswith(f"{asked.public_id}/")  # the lock was let go
    told = page_of(radiologist, asked)
    assert "colleague@north.example declined the second read" in told
    assert "I know the patient." in told
    assert "A second read is asked for of 1 colleague." in told
    assert "I know the patient." in page_of(other, asked)
    assert "I know the patient." not in page_of(third, asked)
    event = AuditEvent.objects.get(action="second_read.declined")
    assert event.actor.startswith("user:")
    assert event.detail["left"] == 1
    assert "patient" not in str(event.detail)


def test_when_all_declined_the_first_reader_is_told(radiologist, other, third, asked) -> None:
    decline(other, asked)
    decline(third, asked, "No time.")
    assert "Nobody of this site is left to give it." in page_of(radiologist, asked)


def test_a_reason_is_needed_and_only_who_is_asked_may(radiologist, other, asked, read_by) -> None:
    assert decline(other, asked, " \n ").status_code == 422
    assert decline(other, asked, "x" * 401).status_code == 422
    assert decline(radiologist, asked).status_code == 409  # the first reader
    assert decline(other, asked).status_code == 302
    assert decline(other, asked).status_code == 409  # once
    assert SecondReadDecline.objects.count() == 1


def test_what_the_first_said_opens_and_the_second_read_is_somebody_elses(
    radiologist, other, third, report_asked_for, study, read_by
) -> None:
    assert other.get(report_asked_for).status_code == 404
    decline(other, study)
    assert other.get(report_asked_for).status_code == 200
    read_by(other, study, Effusion="absent", sign=False)
    other.post(f"/radiology/studies/{study.public_id}/read/release/")
    assert SecondRead.objects.get().read is None
    assert third.get(report_asked_for).status_code == 404
    theirs = read_by(third, study, Effusion="absent", sign=False)
    assert SecondRead.objects.get().read == theirs


def test_without_the_question_it_would_be_theirs_who_had_seen_the_first(other, asked, read_by) -> None:
    decline(other, asked)
    SecondReadDecline.objects.all().delete()  # as if nobody remembered it
    theirs = read_by(other, asked, Effusion="absent", sign=False)
    assert SecondRead.objects.get().read == theirs
