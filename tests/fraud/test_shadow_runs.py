"""Putting a version in shadow and ending that: one at a time, by a person or by what becomes of it."""

from __future__ import annotations

import pytest

from apps.audit.models import AuditEvent
from apps.core.errors import LynceusError
from apps.fraud.lifecycle.services import follow, shadow
from apps.fraud.lifecycle.services.follow import follow_decisions
from apps.fraud.lifecycle.services.shadow import end_shadow
from apps.fraud.lifecycle.shadow import open_run, waiting_age
from apps.fraud.models import (
    ShadowMemory,
    ShadowRun,
    ShadowScore,
)
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import RunEnd
from tests.fraud.shadowing import begin as begin
from tests.fraud.shadowing import challenger as challenger
from tests.fraud.shadowing import ml_admin as ml_admin
from tests.fraud.shadowing import version_of
from tests.fraud.test_promotion import send_some
from tests.promoting import put_in_service


def test_the_version_in_service_is_not_put_in_shadow(champion, begin) -> None:
    with pytest.raises(LynceusError) as refused:
        begin(champion)
    assert refused.value.code == "in_service" and not ShadowRun.objects.exists()


def test_begun_twice_it_is_one_run(challenger, begin) -> None:
    assert begin(challenger) == begin(challenger)
    assert AuditEvent.objects.filter(action="shadow.started").count() == 1


def test_another_takes_its_place(champion, challenger, begin) -> None:
    first = begin(challenger)
    second = begin(version_of(champion, champion.artefact_hash, 3))
    first.refresh_from_db()
    assert (first.end, open_run()) == (RunEnd.REPLACED, second)
    told = AuditEvent.objects.get(action="shadow.ended")
    assert (told.subject, told.detail["why"]) == (f"version:{challenger.pk}", "replaced")


def test_once_ended_nothing_is_scored_and_the_memories_go(challenger, begin, post, ml_admin, site) -> None:
    run = begin(challenger)
    send_some(post, count=2)
    follow_decisions()
    assert ShadowMemory.objects.count() == 1
    assert end_shadow(run, RunEnd.STOPPED, by=ml_admin, site=site)
    assert not end_shadow(run, RunEnd.STOPPED, by=ml_admin, site=site)
    send_some(post, start=2, count=1)
    assert shadow.ring_shadow() == 1  # for what is left to forget
    follow_decisions()
    assert (ShadowScore.objects.count(), ShadowMemory.objects.count()) == (2, 0)
    assert shadow.ring_shadow() == 0
    challenger.model.refresh_from_db()
    assert challenger.model.shadow is None


def test_put_in_service_it_is_in_shadow_no_longer(challenger, begin, post, site) -> None:
    run = begin(challenger)
    put_in_service(challenger)
    send_some(post, count=1)
    assert follow_decisions() == 0
    run.refresh_from_db()
    assert run.end == RunEnd.PROMOTED
    challenger.model.refresh_from_db()
    assert challenger.model.shadow is None


def test_one_that_cannot_be_read_says_so_and_goes_on_later(challenger, begin, post, trained_again) -> None:
    run = begin(challenger)
    send_some(post, count=2)
    folder = artefact_folder(challenger.artefact_hash)
    folder.unlink()
    assert follow_decisions() == 0
    run.refresh_from_db()
    waiting, age_s = waiting_age()
    assert run.trouble and waiting == 2 and age_s is not None
    folder.symlink_to(trained_again.artefact_dir)
    assert follow_decisions() == 2
    run.refresh_from_db()
    assert run.trouble == ""


def test_the_sweeper_rings_while_it_is_behind(challenger, begin, post, monkeypatch) -> None:
    monkeypatch.setattr(follow, "transactions", lambda: (1, 1))  # other tests share the server, and are open
    assert shadow.ring_shadow() == 0
    begin(challenger)
    assert shadow.ring_shadow() == 0
    send_some(post, count=1)
    assert shadow.ring_shadow() == 1
    for _ in range(6):
        follow_decisions()
    assert shadow.ring_shadow() == 0
