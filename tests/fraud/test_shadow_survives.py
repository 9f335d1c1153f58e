"""A version in shadow scores each decision once, whoever is killed, commits late or works beside it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.fraud.decide.services.decide import decide_transactions
from apps.fraud.decide.services.ingest import shard_of
from apps.fraud.lifecycle.services import follow
from apps.fraud.lifecycle.services.follow import follow_decisions
from apps.fraud.lifecycle.shadow import waiting_age
from apps.fraud.models import (
    Decision,
    ShadowCount,
    ShadowCursor,
    ShadowMemory,
    ShadowScore,
    Source,
    Transaction,
)
from tests.fraud.conftest import event
from tests.fraud.shadowing import as_if_it_had_served, scores
from tests.fraud.shadowing import begin as begin
from tests.fraud.shadowing import challenger as challenger
from tests.fraud.shadowing import ml_admin as ml_admin
from tests.fraud.test_promotion import send_some


class Killed(BaseException):
    """As a signal ends a worker: no handler of ours sees it."""


def killed_once(monkeypatch, name: str) -> None:
    honest = getattr(follow, name)

    def dies(*given: Any) -> Any:
        monkeypatch.setattr(follow, name, honest)
        raise Killed

    monkeypatch.setattr(follow, name, dies)


@pytest.mark.parametrize("where", ["_memories", "_count", "move_on"])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    challenger, begin, post, monkeypatch, where
) -> None:
    begin(challenger)
    send_some(post, count=4)
    killed_once(monkeypatch, where)
    with pytest.raises(Killed):
        follow_decisions()
    assert scores() == [] and not ShadowMemory.objects.exists() and not ShadowCount.objects.exists()
    send_some(post, start=4, count=2)
    follow_decisions()
    assert scores() == as_if_it_had_served(challenger)
    assert sum(ShadowCount.objects.values_list("n", flat=True)) == 6


def test_were_they_not_written_together_some_would_be_lost(challenger, begin, post, monkeypatch) -> None:
    begin(challenger)
    send_some(post, count=4)
    monkeypatch.setattr(follow, "follow_shard", follow.follow_shard.__wrapped__)
    killed_once(monkeypatch, "_count")
    with pytest.raises(Killed):
        follow_decisions()
    follow_decisions()
    assert len(scores()) == 4 and not ShadowCount.objects.exists()


def test_the_database_keeps_one_score_of_a_decision(challenger, begin, post) -> None:
    run = begin(challenger)
    send_some(post, count=1)
    follow_decisions()
    said = ShadowScore.objects.get()
    said.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        said.save(force_insert=True)
    assert run.scores.count() == 1


def of_one_shard(site_id: int) -> tuple[str, str]:
    """Two cards that one worker decides and follows."""
    shard = shard_of(site_id, "card-0001")
    others = (f"card-{n:04d}" for n in range(2, 1000))
    return "card-0001", next(card for card in others if shard_of(site_id, card) == shard)


def decided_slowly(pk: int, drawn: threading.Event, release: threading.Event) -> None:
    """Its key is drawn long before it is committed."""
    try:
        with transaction.atomic():
            decide_transactions(list(Transaction.objects.filter(pk=pk).select_related("source__site")))
            drawn.set()
            release.wait(60)
    finally:
        connection.close()


def overtaken(post, source: Source) -> None:
    """A decision commits after one with a larger key has been followed, several rounds ago."""
    early, late = of_one_shard(source.site_id)
    post(event("slow", card_token=early))
    drawn, release = threading.Event(), threading.Event()
    slow = threading.Thread(
        target=decided_slowly, args=(Transaction.objects.get(event_id="slow").pk, drawn, release)
    )
    slow.start()
    assert drawn.wait(60)
    post(event("quick", card_token=late, merchant_id="m2", terminal_id="t2"))
    pk = Transaction.objects.get(event_id="quick").pk
    with transaction.atomic():
        decide_transactions(list(Transaction.objects.filter(pk=pk).select_related("source__site")))
    for _ in range(5):
        follow_decisions()
    assert len(scores()) == 1
    release.set()
    slow.join(60)
    for _ in range(5):
        follow_decisions()


@pytest.mark.django_db(transaction=True)
def test_one_that_commits_late_is_not_passed_over(challenger, begin, post, source) -> None:
    """PostgreSQL's matter: SQLite's writers wait for each other."""
    run = begin(challenger)
    overtaken(post, source)
    slow, quick = Decision.objects.order_by("pk")
    assert slow.transaction.event_id == "slow" and slow.decided_at < quick.decided_at
    assert ShadowScore.objects.count() == 2
    last = ShadowCursor.objects.get(run=run, shard=quick.transaction.shard)
    assert last.through == quick.pk or waiting_age() == (0, None)


@pytest.mark.django_db(transaction=True)
def test_a_cursor_that_goes_by_keys_alone_would_pass_it_over(
    challenger, begin, post, source, monkeypatch
) -> None:
    monkeypatch.setattr(follow, "transactions", lambda: (1, 1))
    begin(challenger)
    overtaken(post, source)
    assert Decision.objects.count() == 2 and ShadowScore.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_shard_is_one_workers(challenger, begin, post, source) -> None:
    run = begin(challenger)
    send_some(post, count=2)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                list(ShadowCursor.objects.select_for_update().filter(run=run))
                held.set()
                release.wait(60)
        finally:
            connection.close()

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    assert follow_decisions() == 0
    release.set()
    other.join(60)
    assert follow_decisions() == 2
