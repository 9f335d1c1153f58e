"""What of a study leaves for the PACS, and when: nothing in doubt, nothing before sign-off, one report."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from apps.accounts.models import Site
from apps.core.encryption import encrypt
from apps.radiology.documents.services import dispatches
from apps.radiology.exchange.services import send
from apps.radiology.intake.services.patients import move_study
from apps.radiology.models import (
    Destination,
    Dispatch,
    DispatchAttempt,
    Read,
    RejectionNote,
    Result,
)
from apps.radiology.tasks import make_reports, send_reports
from tests.radiology.reports.receivers import checked_by, enter, make_due, work
from tests.radiology.reports.receivers import pacs as pacs
from tests.radiology.reports.receivers import stow as stow
from tests.radiology.results.conftest import read, settle

__all__ = ["read"]


@pytest.fixture
def our_own_door(live_server: Any, site: Site, other_site: Site, other_token: str) -> Destination:
    """Another site's STOW-RS door: it takes films and rejection notes, and no reports."""
    to = enter(site, name="South", stow_url=f"{live_server.url}/dicom-web/studies")
    to.bearer = encrypt(other_token, bound_to=to.seal)
    to.save()
    return to


def test_a_retraction_follows_the_report(our_own_door, sign, study, press, other_site) -> None:
    sign(study)
    work()
    assert DispatchAttempt.objects.get().said.startswith("415 0x")  # our door takes no reports
    press(study, "add", addendum="Another patient's film.", retracts="on")
    make_due()
    work()
    note = RejectionNote.objects.get(site=other_site)
    assert note.code == "113037"
    first, second = Dispatch.objects.order_by("pk")
    assert first.is_superseded  # and not sent any more
    assert second.delivered_at is not None
    assert first.tries.count() == second.tries.count() == 1


def test_a_wrong_token_is_no_delivery(our_own_door, sign, study) -> None:
    Destination.objects.update(bearer=encrypt("wrong", bound_to=our_own_door.seal))
    sign(study)
    work()
    assert DispatchAttempt.objects.get().said == "401"
    assert Dispatch.objects.get().delivered_at is None


def test_while_it_is_in_doubt_whose_it_is_nothing_leaves(
    stow, sign, study, make_user, press, radiologist
) -> None:
    sign(study)
    make_reports.run()
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    send_reports.run()
    assert stow.heard == []
    assert "held: signed under other data" in radiologist.get("/radiology/deliveries/").content.decode()
    press(study, "add", addendum="It is of the patient 9999.")
    work()
    assert len(stow.heard) == 1
    assert b"9999" in stow.heard[0][1]


def test_without_the_guard_it_would_leave(stow, sign, study, make_user, monkeypatch) -> None:
    monkeypatch.setattr(send, "_must_wait", lambda dispatch: False)
    sign(study)
    make_reports.run()
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    send_reports.run()
    assert b"4711" in stow.heard[0][1]


def test_what_the_model_found_leaves_only_after_sign_off(stow, read, press, sign) -> None:
    study = read(Effusion=(0.9, 0.5)).study
    Destination.objects.update(sends_results=True)
    settle()
    assert Result.objects.count() == 2
    press(study)
    press(study, "commit")
    work()
    assert not Dispatch.objects.exists()
    press(study, "sign")
    work()
    assert Dispatch.objects.filter(result__isnull=False, delivered_at__isnull=False).count() == 2
    assert len(stow.heard) == 3


def test_results_that_come_after_the_signature_follow(stow, read, sign) -> None:
    study = read(Effusion=(0.9, 0.5)).study
    Destination.objects.update(sends_results=True)
    sign(study)
    assert not Dispatch.objects.filter(result__isnull=False).exists()
    settle()
    work()
    assert Dispatch.objects.filter(result__isnull=False, delivered_at__isnull=False).count() == 2


def test_who_did_not_ask_for_them_gets_none(stow, read, sign) -> None:
    study = read(Effusion=(0.9, 0.5)).study
    settle()
    sign(study)
    work()
    assert len(stow.heard) == 1


def test_nothing_is_sent_where_none_is_entered(sign, study, radiologist) -> None:
    sign(study)
    work()
    assert not Dispatch.objects.exists()
    assert "No PACS takes reports" in radiologist.get("/radiology/deliveries/").content.decode()


def test_a_second_read_stays_in_the_house(pacs, sign, study, other) -> None:
    first = sign(study)
    checked_by(other, study)
    assert Read.objects.filter(state="final").count() == 2
    assert [one.document.read for one in Dispatch.objects.all()] == [first]


def test_without_the_question_an_archive_would_have_two_reports(
    pacs, sign, study, other, monkeypatch
) -> None:
    monkeypatch.setattr(
        dispatches, "SecondRead", Mock(**{"objects.filter.return_value.exists": lambda: False})
    )
    sign(study)
    checked_by(other, study)
    assert Dispatch.objects.count() == 2
