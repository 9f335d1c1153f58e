"""What was decided without the model or without the states is scored after the fact: once, and beside."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.decide.services import drain, verdicts
from apps.fraud.models import (
    Decision,
    Evidence,
    HeardLater,
    KeyState,
    LateState,
    Rescore,
    Transaction,
)
from apps.fraud.serving import inference
from apps.fraud.serving.rows import event_of
from apps.fraud.serving.services.rebuild import differing, rebuild
from tests.fraud.conftest import drain_all, event, state_of
from tests.fraud.test_decide_now import _holding_the_card, decide_now, slow_model, token, warm  # noqa: F401

pytestmark = pytest.mark.decision


def as_decided() -> list[tuple[Any, ...]]:
    rows = Decision.objects.order_by("pk").values_list()
    evidence = Evidence.objects.order_by("pk").values_list("reasons", "features")
    return [*rows, *((reasons, bytes(features)) for reasons, features in evidence)]


def test_once_the_model_can_be_read_again_it_is_scored_beside_the_decision(unread, ask) -> None:
    unread(event())
    before, answered = as_decided(), ask("e1").json()
    assert (answered["mode_reason"], answered["rescored"]) == ("model_unreadable", None)
    drain_all()
    after = ask("e1").json()
    told = after.pop("rescored")
    assert after == {name: value for name, value in answered.items() if name != "rescored"}
    assert as_decided() == before
    kept = Rescore.objects.get()
    assert told["score"] == kept.score and told["model_version"] == 1
    assert told["decision"] == kept.by_score
    assert state_of().version == 1 and not LateState.objects.exists()
    assert AuditEvent.objects.get(action="decisions.rescored").detail["count"] == 1


def test_heard_again_it_changes_nothing(unread, site) -> None:
    unread(event(), event("e2"))
    drain_all()
    kept, states = list(Rescore.objects.values_list()), list(KeyState.objects.values_list("key", "version"))
    drain_all()
    assert list(Rescore.objects.values_list()) == kept
    assert list(KeyState.objects.values_list("key", "version")) == states
    assert differing(site, rebuild(site)) == []


def test_were_it_not_forgotten_in_the_same_transaction_it_would_be_heard_twice(unread) -> None:
    unread(event())
    waiting = list(LateState.objects.all())
    drain_all()
    LateState.objects.bulk_create(waiting)
    with pytest.raises(DatabaseError), transaction.atomic():
        drain_all()


def test_without_the_note_for_later_there_would_be_none(unread, monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "LATER", frozenset({"deadline", "state_busy"}))
    unread(event())
    drain_all()
    assert not Rescore.objects.exists()


def scores_of(event_id: str) -> tuple[float, float]:
    """With the states as they are now, and as if its card and terminal were new."""
    model = inference.current_champion()
    events = [event_of(Transaction.objects.get(event_id=event_id))]
    states = {row.key: bytes(row.state) for row in KeyState.objects.exclude(state=b"")}
    [knowing], [blank] = (inference.score(model, events, known).scores for known in (states, {}))
    return knowing.score, blank.score


def test_it_is_scored_with_the_cards_history(unread, post) -> None:
    post([event(f"h{i}", amount_minor=900 + i) for i in range(4)])
    drain_all()
    inference._loaded = None
    unread(event("late", amount_minor=40_000))
    knowing, blank = scores_of("late")
    drain_all()
    assert Rescore.objects.get().score == knowing != blank


def test_without_a_model_in_service_nothing_waits(post, ask) -> None:
    post(event())
    drain_all()
    assert ask("e1").json()["mode_reason"] == "no_model"
    assert not LateState.objects.exists()


def test_what_the_model_fails_on_twice_goes_without(champion, post, site, monkeypatch) -> None:
    model = inference.current_champion()

    def broken(self, *_: object, **__: object) -> None:
        raise FloatingPointError

    with monkeypatch.context() as patch:
        patch.setattr(type(model.predictor), "score_batch", broken)
        post(event())
        drain.drain_shard(0)
        assert LateState.objects.exists()
        drain.drain_shard(0)
    assert not (LateState.objects.exists() or Rescore.objects.exists() or HeardLater.objects.exists())
    post(event("e2"))
    drain_all()
    assert differing(site, rebuild(site)) == []


def test_what_it_failed_on_once_is_scored_the_next_time(champion, post, ask, site, monkeypatch) -> None:
    model = inference.current_champion()
    with monkeypatch.context() as patch:
        patch.setattr(type(model.predictor), "score_batch", lambda *_, **__: 1 / 0)
        post(event())
        drain.drain_shard(0)
    drain_all()
    made = ask("e1").json()
    assert made["mode_reason"] == "model_failed" and made["score"] is None
    assert made["rescored"]["score"] is not None
    assert differing(site, rebuild(site)) == []


def test_what_is_too_old_is_never_scored_again(unread) -> None:
    unread(event("old", occurred_at=(now() - timedelta(days=31)).isoformat()))
    drain_all()
    assert Decision.objects.exists() and not Rescore.objects.exists()


def test_a_missed_deadline_is_rescored_and_the_same_again_says_so(slow_model, decide_now) -> None:  # noqa: F811
    sent = event()
    made = decide_now(sent, "60").json()
    assert (made["mode_reason"], made["rescored"]) == ("deadline", None)
    slow_model.set()
    drain_all()
    again = decide_now(sent).json()
    assert again["rescored"]["score"] == Rescore.objects.get().score
    assert {**again, "rescored": None} == made
    assert Decision.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_card_that_was_held_is_scored_once_with_its_history(warm, decide_now, ask) -> None:  # noqa: F811
    if connection.vendor == "sqlite":
        assert decide_now(event()).json()["mode"] == "full"  # one lock for all: it is waited for
        return
    decide_now(event())
    held, release = threading.Event(), threading.Event()
    holder = threading.Thread(target=_holding_the_card, args=(held, release))
    holder.start()
    held.wait(30)
    made = decide_now(event("e2", amount_minor=40_000), "400").json()
    release.set()
    holder.join()
    assert (made["mode"], made["mode_reason"]) == ("no_state", "state_busy")
    knowing, blank = scores_of("e2")
    drain_all()
    drain_all()
    after = ask("e2").json()
    assert (after["score"], after["rescored"]["score"]) == (blank, knowing)
    assert Rescore.objects.count() == 1


def test_the_database_lets_it_not_be_rewritten(unread) -> None:
    unread(event())
    drain_all()
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Rescore.objects.update(score=0.0)


def test_without_the_trigger_it_would_be(unread) -> None:
    unread(event())
    drain_all()
    on_postgresql = connection.vendor == "postgresql"
    with transaction.atomic(), connection.cursor() as cursor:
        if on_postgresql:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DROP TRIGGER fraud_rescore_kept" + " ON fraud_rescore" * on_postgresql)
        assert Rescore.objects.update(score=0.0) == 1
        transaction.set_rollback(True)
