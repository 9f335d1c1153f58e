"""One decision per event, committed with the state it came from, whatever breaks on the way."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction

from apps.fraud.decide.services import decide, drain, look, verdicts
from apps.fraud.models import Alert, Decision, Evidence, KeyState, OutboxRow, Transaction
from apps.fraud.serving import inference
from apps.modelops.common.places import artefact_folder
from tests.fraud.conftest import drain_all, event, state_of

pytestmark = pytest.mark.decision


def test_without_a_model_rules_decide_and_say_so(post, ask) -> None:
    post(event())
    assert drain_all() == 1
    answer = ask("e1").json()
    assert (answer["mode"], answer["mode_reason"], answer["score"]) == ("rules_only", "no_model", None)
    assert answer["decision"] == "approve"


def test_the_champion_decides_with_reasons(champion, post, ask) -> None:
    post(event())
    assert drain_all() == 1
    answer = ask("e1").json()
    assert (answer["mode"], answer["model_version"]) == ("full", 1)
    assert answer["artefact_hash"] == champion.artefact_hash
    assert 0 <= answer["score"] <= 1
    assert len(answer["reasons"]) >= 5
    assert all(reason["text"] for reason in answer["reasons"])


def test_reasons_of_what_was_approved_are_made_when_asked_for(champion, post, ask) -> None:
    post(event())
    drain_all()
    made = Decision.objects.select_related("evidence").get()
    assert (made.outcome, made.evidence.reasons) == ("approve", [])
    reasons = ask("e1").json()["reasons"]
    margin = inference.current_champion().predictor.margins(
        np.frombuffer(made.evidence.features, "<f4")[None, :]
    )
    assert sum(reason["weight"] for reason in reasons) == pytest.approx(float(margin[0]), abs=1e-4)
    assert Evidence.objects.get().reasons == []


def test_reasons_of_what_was_not_approved_are_kept_with_it(champion, post, ask, monkeypatch) -> None:
    post(event(amount_minor=300_000))
    drain_all()
    made = Decision.objects.select_related("evidence").get()
    assert made.outcome == "review"
    kept = made.evidence.reasons
    assert kept[0]["code"] == "rule_large_amount" and len(kept) >= 6
    artefact_folder(champion.artefact_hash).unlink()
    told = ask("e1").json()["reasons"]
    assert [(one["code"], one["weight"]) for one in told] == [(one["code"], one["weight"]) for one in kept]


def test_where_the_version_is_gone_what_was_approved_has_no_reasons(champion, post, ask) -> None:
    post(event())
    drain_all()
    Decision.objects.update(artefact_hash="0" * 64)
    answer = ask("e1")
    assert (answer.status_code, answer.json()["reasons"]) == (200, [])


def test_the_cards_state_moves_with_each_decision(champion, post, ask) -> None:
    post([event(f"e{i}", amount_minor=1000) for i in range(10)])
    post(event("strange", amount_minor=900_000, country="US", terminal_id="t9"))
    drain_all()
    assert ask("strange").json()["score"] > ask("e0").json()["score"]
    assert state_of().version >= 1
    texts = " ".join(reason["text"] for reason in ask("strange").json()["reasons"])
    assert "times this card's usual" in texts


def test_a_batch_gives_the_same_as_one_by_one(champion, post, ask) -> None:
    events = [event(f"a{i}", amount_minor=500 + 300 * i, card_token="card-a") for i in range(6)]
    post(events)
    drain_all()
    for one in events:
        post(
            {
                **one,
                "event_id": one["event_id"].replace("a", "b"),
                "card_token": "card-b",
                "terminal_id": "t2",
                "merchant_id": "m2",
            }
        )
        drain_all()
    for i in range(6):
        assert ask(f"a{i}").json()["score"] == ask(f"b{i}").json()["score"]


def test_what_breaks_before_the_commit_leaves_nothing(champion, post, monkeypatch) -> None:
    post([event("e1"), event("e2")])

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "record", broken)
        assert drain_all() == 0
    assert not Decision.objects.exists()
    assert not OutboxRow.objects.exists()
    assert not KeyState.objects.exists()
    Transaction.objects.update(retry_at=None)
    assert drain_all() == 2


def test_one_poisoned_transaction_delays_only_itself(champion, post, monkeypatch) -> None:
    post([event("good"), event("poison", amount_minor=666)])
    honest = verdicts._decision

    def poisoned(pk, item, *more):
        if item.row.amount_minor == 666:
            raise ValueError("cannot be decided")
        return honest(pk, item, *more)

    monkeypatch.setattr(verdicts, "_decision", poisoned)
    assert drain_all() == 1
    row = Transaction.objects.get(event_id="poison")
    assert (row.status, row.attempts) == ("pending", 1)
    assert row.retry_at is not None


def test_a_decided_row_is_not_decided_again(champion, post) -> None:
    post(event())
    row = Transaction.objects.select_related("source__site").get()
    drain_all()
    with pytest.raises(look.AlreadyDecided), transaction.atomic():
        decide.decide_transactions([row])
    assert Decision.objects.count() == 1


def test_an_unreadable_artefact_leaves_the_rules(champion, post, ask) -> None:
    folder = artefact_folder(champion.artefact_hash)
    folder.unlink()
    folder.mkdir()
    post(event())
    drain_all()
    assert ask("e1").json()["mode_reason"] == "model_unreadable"


def test_a_model_that_fails_on_an_event_leaves_the_rules(champion, post, ask, monkeypatch) -> None:
    model = inference.current_champion()

    def broken(self, *args: object, **kwargs: object) -> None:
        raise FloatingPointError

    monkeypatch.setattr(type(model.predictor), "score_batch", broken)
    post(event())
    drain_all()
    assert ask("e1").json()["mode_reason"] == "model_failed"


def test_rules_raise_alerts_ranked_by_money(post) -> None:
    post([event(f"e{i}", card_token=f"c{i}", amount_minor=10**6 * (i + 1)) for i in range(3)])
    drain_all()
    risks = list(Alert.objects.order_by("-risk_minor").values_list("risk_minor", flat=True))
    assert risks == sorted(risks, reverse=True)
    assert len(risks) == Decision.objects.exclude(outcome="approve").count()


@pytest.mark.django_db(transaction=True)
def test_two_workers_on_one_shard_decide_each_event_once(champion, post) -> None:
    post([event(f"e{i}") for i in range(150)])
    shard = Transaction.objects.values_list("shard", flat=True).first()
    together = threading.Barrier(3)
    counts: list[int] = []

    def work() -> None:
        try:
            together.wait()
            counts.append(drain.drain_shard(shard))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    drain.drain_shard(shard)
    assert Decision.objects.count() == 150
    assert not Transaction.objects.filter(status="pending").exists()


def test_one_old_event_does_not_open_the_history_of_the_others(post) -> None:
    old, live = (
        event("old", card_token="a", occurred_at="2019-01-01T00:00:00Z"),
        event("live", card_token="b"),
    )
    post([event("past", card_token="b", occurred_at="2021-05-01T00:00:00Z"), old, live])
    rows = list(Transaction.objects.exclude(event_id="past").select_related("source__site").order_by("pk"))
    found = [row for answered in look._ask_near(rows[0].source.site, rows) for row in answered.fetchall()]
    assert {pk for pk, *_ in found} == {row.pk for row in rows}


def test_a_token_that_many_share_is_not_read_whole(post, monkeypatch) -> None:
    monkeypatch.setattr(look, "NEAR_MAX", 3)
    post([event(f"e{i}") for i in range(9)])
    rows = list(Transaction.objects.select_related("source__site").order_by("pk"))
    [last] = look._earlier(look._ask_near(rows[-1].source.site, rows[-1:]), rows[-1:])
    assert {other.pk for other in last} == {rows[6].pk, rows[7].pk}


def test_the_tasks_time_limit_is_no_transactions_fault(champion, post, monkeypatch) -> None:
    post([event(f"e{i}") for i in range(4)])

    def out_of_time(*_: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patch, pytest.raises(SoftTimeLimitExceeded):
        patch.setattr(drain, "decide_transactions", out_of_time)
        drain_all()
    assert set(Transaction.objects.values_list("attempts", flat=True)) == {0}
    drain_all()
    assert Decision.objects.count() == 4


def test_a_long_queue_rings_again_instead_of_running_out_of_time(champion, post, monkeypatch) -> None:
    rung: list[tuple[object, ...]] = []
    monkeypatch.setattr(drain, "ring", lambda *args: rung.append(args))
    monkeypatch.setattr(drain, "RING_S", 0.0)
    post(event())
    shard = Transaction.objects.get().shard
    assert drain.drain_shard(shard) == 0
    assert rung == [("fraud.decide_pending", shard)]
