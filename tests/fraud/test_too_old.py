"""An event older than the longest window is decided without the states and leaves no trace in them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from apps.core.clock import now
from apps.fraud.decide.services.decide import Hurry, decide_transactions
from apps.fraud.decide.services.seen import observed
from apps.fraud.models import Decision, Evidence, KeyState, LateState, Transaction
from apps.fraud.serving.services.rebuild import differing, rebuild
from apps.fraud.serving.services.sequence import latest_vectors
from ml.fraud import contracts
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision


def past(event_id: str, days: float, **changes: Any) -> dict[str, Any]:
    return event(event_id, occurred_at=(now() - timedelta(days=days)).isoformat(), **changes)


def states() -> list[bytes]:
    return [bytes(row.state) for row in KeyState.objects.order_by("key")]


def vector_of(event_id: str) -> bytes:
    return bytes(Evidence.objects.get(decision__transaction__event_id=event_id).features)


def test_it_is_decided_and_says_why_it_knew_nothing(champion, post, ask) -> None:
    post([event(f"e{i}") for i in range(6)])
    drain_all()
    before = states()
    post(past("old", 30.01))
    drain_all()
    answer = ask("old").json()
    assert (answer["mode"], answer["mode_reason"], answer["deadline_hit"]) == ("no_state", "too_old", False)
    assert answer["score"] is not None
    assert states() == before
    assert not LateState.objects.exists()


def test_a_day_younger_it_is_one_of_the_cards(champion, post, ask) -> None:
    post([event(f"e{i}") for i in range(6)])
    drain_all()
    before = states()
    post(past("late", 29))
    drain_all()
    assert ask("late").json()["mode"] == "full"
    assert states() != before


def test_without_the_limit_it_would_move_them(champion, post, ask, monkeypatch) -> None:
    monkeypatch.setattr(contracts, "LONGEST_WINDOW_US", 10**18)
    post(event("e1"))
    drain_all()
    before = states()
    post(past("old", 400))
    drain_all()
    assert ask("old").json()["mode"] == "full"
    assert states() != before


def test_in_one_batch_nobody_else_is_told_of_it(champion, post, site) -> None:
    """And it is scored as if it came alone to a card and terminal never seen."""
    when = (now() - timedelta(days=40)).isoformat()
    post([event("e1"), event("old", occurred_at=when), event("e2"), event("older", occurred_at=when)])
    post(event("alone", occurred_at=when, card_token="c9", terminal_id="t9"))
    drain_all()
    assert vector_of("old") == vector_of("older") == vector_of("alone")
    assert vector_of("e2") != vector_of("e1")
    assert not KeyState.objects.exclude(state=b"").filter(key="card:c9").exists()
    assert differing(site, rebuild(site)) == []


def test_where_the_states_are_busy_they_do_not_hear_of_it_later(champion, post, ask) -> None:
    post([event("e1"), past("old", 35)])
    rows = list(Transaction.objects.select_related("source__site").order_by("pk"))
    decide_transactions(rows, Hurry(time.monotonic() + 60, without_state=True))
    assert [ask(name).json()["mode_reason"] for name in ("e1", "old")] == ["state_busy", "too_old"]
    assert [late.transaction.event_id for late in LateState.objects.select_related("transaction")] == ["e1"]


def test_nor_where_there_was_no_time_for_the_model(champion, post, ask) -> None:
    post([event("e1"), past("old", 35)])
    rows = list(Transaction.objects.select_related("source__site").order_by("pk"))
    decide_transactions(rows, Hurry(time.monotonic() - 1))
    assert ask("old").json()["mode_reason"] == "deadline"
    assert [late.transaction.event_id for late in LateState.objects.select_related("transaction")] == ["e1"]


def test_a_new_networks_memory_of_the_card_leaves_it_out(champion, post, site) -> None:
    post([event("e1"), past("old", 35)])
    drain_all()
    assert latest_vectors(site.pk, "card-0001") == [vector_of("e1")]


def test_its_reversal_takes_nothing_from_the_others(champion, post, ask) -> None:
    post([event("e1"), past("old", 35)])
    drain_all()
    before = states()
    post(event("r1", type="reversal", original_event_id="old"))
    drain_all()
    assert ask("r1").json()["takes_back"] == {"event_id": "old", "amount_minor": 0}
    assert states() == before


def test_the_page_says_so(champion, post, client, make_user) -> None:
    post(past("old", 35))
    drain_all()
    client.force_login(make_user("fraud_analyst"))
    shown = client.get(f"/fraud/decisions/{Decision.objects.get().public_id}/").content.decode()
    assert "more than 30 days after it happened" in shown


def test_rules_that_ask_for_history_get_none_of_it(champion, post) -> None:
    post([past("old", 35), event("e1")])
    rows = list(Transaction.objects.select_related("source__site").order_by("pk"))
    nothing, vector = observed(rows, {})
    assert nothing is None
    assert np.array_equal(vector, observed(rows[1:], {})[0])
