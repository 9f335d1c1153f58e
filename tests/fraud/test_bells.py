"""Every bell rung twice and in another order: one decision per event, and the same ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from celery import current_app
from django.db import connection, transaction

from apps.core.clock import now
from apps.core.sql import run as sql
from apps.fraud import tasks
from apps.fraud.decide.services import drain, look
from apps.fraud.models import SHARDS, Decision, ShardLock, Transaction
from apps.fraud.tasks import decide_pending
from tests.fraud.conftest import event

CARDS, TERMINALS, WAVES, WAVE = 12, 4, 6, 25
Bell = tuple[str, tuple[int, ...]]
Table = list[tuple[Any, ...]]


@pytest.fixture
def bells(monkeypatch) -> list[Bell]:
    """What goes to the broker, kept from it."""
    rung: list[Bell] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: rung.append((name, tuple(args))))
    return rung


def waves() -> list[list[dict[str, Any]]]:
    """Cards of every shard meet at few terminals, so that whose turn comes first would show in the scores."""
    dice, moment = random.Random(5), now().isoformat()
    events = [
        event(
            f"e{n}", card_token=f"card-{dice.randrange(CARDS)}", terminal_id=f"t{dice.randrange(TERMINALS)}",
            amount_minor=dice.randrange(100, 90_000), occurred_at=moment,
        )
        for n in range(WAVES * WAVE)
    ]  # fmt: skip
    return [events[at : at + WAVE] for at in range(0, len(events), WAVE)]


def hear(bell: Bell) -> None:
    """As a worker does, through Celery's own tracing."""
    assert bell[0] == decide_pending.name
    decide_pending.apply(args=bell[1], throw=True)


def in_order(bells: list[Bell]) -> None:
    """Each at once, and what it rings in its turn."""
    while bells:
        hear(bells.pop(0))


def twice_and_shuffled(bells: list[Bell], dice: random.Random, *, all_of_them: bool) -> None:
    """Some are heard now, the others behind the next wave."""
    dice.shuffle(bells)
    for _ in range(len(bells) if all_of_them else len(bells) // 2):
        hear(bells.pop())


def table() -> Table:
    rows = Decision.objects.order_by("id").select_related("transaction", "evidence")
    return [
        (
            row.transaction.event_id, row.transaction.card_token, row.outcome, row.score, row.mode,
            bytes(row.evidence.features), [without_keys(one) for one in row.evidence.reasons],
        )
        for row in rows
    ]  # fmt: skip


def without_keys(reason: dict[str, Any]) -> dict[str, Any]:
    """A second run's decisions have other keys; its events have the same."""
    earlier = [{**one, "decision": None} for one in reason.get("earlier_events", [])]
    return {**reason, "earlier_events": earlier}


@pytest.fixture
def run(champion, post, bells, django_capture_on_commit_callbacks) -> Callable[..., Table]:
    def do(sent: list[list[dict[str, Any]]], disturb: bool) -> Table:
        dice = random.Random(7)
        with anew():
            for wave in sent:
                at = len(bells)
                with django_capture_on_commit_callbacks(execute=True):
                    assert post(wave).status_code == 202
                if disturb:
                    bells.extend(bells[at:])
                    twice_and_shuffled(bells, dice, all_of_them=wave is sent[-1])
                else:
                    in_order(bells)
            return table()

    return do


@contextmanager
def anew() -> Iterator[None]:
    before = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_leaves_the_others_their_share_of_the_shards(post, settings, workers: int) -> None:
    settings.LYNCEUS_REALTIME_WORKERS = workers
    # Else the second would wait for the first one's commit: both would make the same rows.
    ShardLock.objects.bulk_create(ShardLock(number=number) for number in range(SHARDS))
    post([event(f"e{n}", card_token=f"card-{n}") for n in range(drain.BATCH)])
    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        ours = drain._claim(drain.ready_rows())
        theirs = pool.submit(claim_elsewhere).result()
    assert ours and [row.pk for row in ours] == sorted(row.pk for row in ours)
    if workers == 1:
        assert len({row.shard for row in ours}) > 8 and not theirs
    else:
        assert theirs and not {row.shard for row in ours} & {row.shard for row in theirs}


def claim_elsewhere() -> list[Transaction] | None:
    try:
        with transaction.atomic():
            return drain._claim(drain.ready_rows())
    finally:
        connection.close()


@pytest.mark.decision
def test_each_twice_and_in_another_order_gives_the_same_table(run) -> None:
    sent = waves()
    undisturbed, disturbed = run(sent, disturb=False), run(sent, disturb=True)
    assert [row[0] for row in undisturbed] == [one["event_id"] for wave in sent for one in wave]
    assert {row[4] for row in undisturbed} == {"full"}
    assert disturbed == undisturbed


def test_were_a_bell_for_its_own_shard_alone_the_scores_would_differ(run, monkeypatch) -> None:
    heard: list[int] = []
    drain_shard, ready_rows = drain.drain_shard, drain.ready_rows
    monkeypatch.setattr(tasks, "drain_shard", lambda shard: (heard.append(shard), drain_shard(shard)))
    monkeypatch.setattr(drain, "ready_rows", lambda: ready_rows().filter(shard=heard[-1]))
    sent = waves()
    undisturbed, disturbed = run(sent, disturb=False), run(sent, disturb=True)
    assert sorted(row[0] for row in disturbed) == sorted(row[0] for row in undisturbed)
    assert {row[0]: row[3] for row in disturbed} != {row[0]: row[3] for row in undisturbed}


def test_without_the_claim_and_the_unique_key_it_would_be_decided_again(run, monkeypatch) -> None:
    found = "SELECT id FROM fraud_transaction WHERE id = ANY(%s)"
    monkeypatch.setattr(look, "_claim", lambda rows: sql(found, [[row.pk for row in rows]]))
    monkeypatch.setattr(drain, "RING_S", 0.05)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE fraud_decision DROP CONSTRAINT fraud_decision_transaction_id_key")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    made = [row[0] for row in run(waves()[:1], disturb=True)]
    assert len(made) > len(set(made))
