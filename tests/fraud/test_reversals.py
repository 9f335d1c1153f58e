"""What takes a payment back comes off the amounts of its card, once, and never off the count of attempts."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.clock import now
from apps.fraud.decide.services import drain
from apps.fraud.decide.services.decide import Hurry, decide_transactions
from apps.fraud.models import (
    Decision,
    Evidence,
    FxRate,
    HeardLater,
    LateState,
    Reversal,
    Transaction,
)
from apps.fraud.serving.rows import event_of, reversal_of
from apps.fraud.serving.services import reversals
from apps.fraud.serving.services.rebuild import differing, rebuild
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.replay import replay
from ml.fraud.state import CardState as Known
from tests.fraud.conftest import drain_all, event, state_of

pytestmark = pytest.mark.decision


def known(card: str = "card-0001") -> Known:
    return Known.from_bytes(bytes(state_of("card:" + card).state))


def sums(card: str = "card-0001") -> tuple[int, int]:
    """Of the hours and of the days."""
    state = known(card)
    return sum(state.windows.hours.total), sum(state.windows.days.total)


def back(event_id: str = "r1", of: str = "e1", **changes: Any) -> dict[str, Any]:
    return event(event_id, **{"type": "reversal", "original_event_id": of, **changes})


def sweep() -> None:
    drain.ring_overdue()
    drain_all()


def test_a_reversal_takes_off_the_amount_and_not_the_attempt(champion, post, ask) -> None:
    post([event("e0", amount_minor=400), event("e1")])
    drain_all()
    before = known()
    post(back())
    drain_all()
    after = known()
    assert sums() == (400, 400)
    for was, of_now in (
        (before.windows.hours, after.windows.hours), (before.windows.days, after.windows.days)
    ):  # fmt: skip
        assert (of_now.n, of_now.largest, of_now.seen) == (was.n, was.largest, was.seen)
    assert (after.n, after.typical) == (before.n, before.typical)
    answer = ask("r1").json()
    assert (answer["status"], answer["decision"]) == ("not_applicable", None)
    assert answer["takes_back"] == {"event_id": "e1", "amount_minor": 1250}


def test_the_next_payment_is_scored_without_it(champion, post) -> None:
    post(event("e1", amount_minor=90_000, device_id="d1"))
    drain_all()
    post(back(amount_minor=90_000))
    drain_all()
    post(event("e2", device_id="d1"))
    drain_all()
    vector = np.frombuffer(bytes(Evidence.objects.order_by("decision_id").last().features), "<f4")
    seen = dict(zip(FEATURE_NAMES, vector, strict=False))
    for kind in ("card", "terminal", "merchant", "device"):
        assert (seen[f"{kind}_sum_24h"], seen[f"{kind}_sum_30d"], seen[f"{kind}_count_24h"]) == (0, 0, 1)


def test_without_the_feed_the_amount_stays(champion, post, monkeypatch) -> None:
    monkeypatch.setattr(drain, "take_back", lambda shard, limit: 0)
    post(event("e1"))
    drain_all()
    post(back())
    drain_all()
    assert sums() == (1250, 1250)


def test_parts_and_repeats_take_no_more_than_there_was(champion, post, ask) -> None:
    post(event("e1", amount_minor=1000))
    post(event("other", amount_minor=5000))
    drain_all()
    post([back("r1", type="partial_reversal", amount_minor=300), back("r2", type="refund", amount_minor=600)])
    drain_all()
    assert sums() == (5100, 5100)
    post([back("r3", amount_minor=1000), back("r4", amount_minor=1000)])
    drain_all()
    assert sums() == (5000, 5000)
    taken = [ask(f"r{i}").json()["takes_back"]["amount_minor"] for i in (1, 2, 3, 4)]
    assert taken == [300, 600, 100, 0]


def test_without_the_limit_it_would_take_from_others(champion, post, monkeypatch) -> None:
    monkeypatch.setattr(reversals, "_left", lambda payments: {paid.pk: 10**9 for paid in payments})
    post([event("e1", amount_minor=1000), event("other", amount_minor=5000)])
    drain_all()
    post([back("r1", amount_minor=1000), back("r2", amount_minor=1000)])
    drain_all()
    assert sums() == (4000, 4000)


def test_one_that_comes_before_its_payment_waits_for_it(champion, post, ask) -> None:
    post(back())
    sweep()
    assert ask("r1").json()["takes_back"] == {"event_id": None, "amount_minor": None}
    post(event("e1"))
    sweep()
    sweep()
    assert sums() == (0, 0)
    assert known().n == 1
    assert ask("r1").json()["takes_back"] == {"event_id": "e1", "amount_minor": 1250}


def test_without_the_second_look_it_would_wait_for_ever(champion, post, monkeypatch) -> None:
    monkeypatch.setattr(drain, "match_waiting", lambda: None)
    post(back())
    post(event("e1"))
    sweep()
    sweep()
    assert sums() == (1250, 1250)


def test_payments_alone_ask_nothing_about_reversals(champion, post) -> None:
    """Neither at the door, nor more than the one statement with which a worker looks what is unheard."""
    with CaptureQueriesContext(connection) as at_the_door:
        post([event("e1"), event("e2")])
    with CaptureQueriesContext(connection) as at_work:
        drain.drain_shard(0)
    assert not any("reversal" in query["sql"] for query in at_the_door)
    assert sum("reversal" in query["sql"] for query in at_work) == 1


def test_in_one_delivery_the_payment_is_heard_of_first(champion, post) -> None:
    post([back(), event("e1")])
    drain_all()
    drain_all()
    assert (sums(), known().n) == ((0, 0), 1)


def test_the_networks_reference_names_the_payment_too(champion, post) -> None:
    post(event("e1", network_reference="ref-1"))
    post(event("e2", network_reference="ref-1", amount_minor=70, card_token="another"))
    drain_all()
    post(back(original_event_id=None, network_reference="ref-1"))
    drain_all()
    assert Reversal.objects.get().original.event_id == "e1"
    assert sums("another") == (70, 70)
    assert sums() == (0, 0)


def test_sent_again_under_a_new_id_it_takes_nothing_again(champion, post, ask) -> None:
    post(event("e1", amount_minor=1000))
    drain_all()
    part: dict[str, Any] = {"type": "refund", "amount_minor": 200, "network_reference": "ref-9"}
    post(back("r1", **part))
    post(back("r2", **part))
    drain_all()
    assert sums() == (800, 800)
    assert ask("r2").json()["takes_back"] is None


def test_another_cards_payment_is_left_alone(champion, post) -> None:
    post(event("e1"))
    drain_all()
    post(back(card_token="another"))
    sweep()
    assert Reversal.objects.get().original is None
    assert sums() == (1250, 1250)


def test_the_amount_is_worth_what_it_was_when_it_was_paid(champion, post) -> None:
    day = now().date()
    FxRate.objects.create(currency="USD", date=day - timedelta(days=40), rate=Decimal("0.90"))
    paid = (now() - timedelta(days=2)).isoformat()
    post(event("e1", currency="USD", amount_minor=1000, occurred_at=paid))
    drain_all()
    assert sums()[1] == 900
    FxRate.objects.create(currency="USD", date=day - timedelta(days=1), rate=Decimal("0.50"))
    post(back(type="partial_reversal", currency="USD", amount_minor=400))
    drain_all()
    assert sums()[1] == 540
    post(back("r2", type="refund", currency="EUR", amount_minor=40))
    drain_all()
    assert sums()[1] == 500


def test_what_the_states_never_heard_of_has_nothing_to_take(post, ask) -> None:
    post(event("e1"))
    drain_all()
    assert Decision.objects.get().mode == "rules_only"
    post(back())
    drain_all()
    assert ask("r1").json()["takes_back"] == {"event_id": "e1", "amount_minor": 0}
    assert not HeardLater.objects.exists()


def test_a_payment_decided_without_the_states_is_heard_of_first(champion, post, site) -> None:
    post([event("e0"), event("e1")])
    row = Transaction.objects.select_related("source__site").get(event_id="e1")
    decide_transactions([row], Hurry(time.monotonic() + 60, without_state=True))
    post(back())
    assert LateState.objects.exists()
    assert not reversals.ready().exists()
    drain_all()
    drain_all()
    assert sums() == (1250, 1250)
    assert known().n == 2
    assert differing(site, rebuild(site)) == []


def test_what_commits_with_the_state_is_taken_once(champion, post, monkeypatch) -> None:
    post([event("e0"), event("e1")])
    drain_all()
    post(back())

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("lost")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(reversals, "heard", broken)
        drain_all()
    assert sums() == (2500, 2500)
    drain_all()
    drain_all()
    assert sums() == (1250, 1250)


def test_the_states_come_out_again_with_what_was_taken_back(champion, post, site) -> None:
    post([event(f"e{i}", card_token=f"c{i % 2}", amount_minor=500 + 91 * i) for i in range(8)])
    drain_all()
    post([back(card_token="c1"), back("r2", "e4", card_token="c0", type="refund", amount_minor=100)])
    drain_all()
    post([event(f"f{i}", card_token=f"c{i % 2}") for i in range(4)])
    drain_all()
    assert HeardLater.objects.filter(reversal__isnull=False).count() == 2
    assert differing(site, rebuild(site)) == []
    HeardLater.objects.all().delete()
    assert differing(site, rebuild(site)) != []


def test_served_with_reversals_is_what_replay_gives(champion, post) -> None:
    """Bit for bit; the states heard of the reversals between the third and the fourth payment."""
    post([event(f"e{i}", amount_minor=900 + i, card_token=f"c{i % 2}") for i in range(3)])
    drain_all()
    post(
        [back("r1", "e0", card_token="c0", amount_minor=500), back("r2", card_token="c1", amount_minor=9000)]
    )
    drain_all()
    post([event(f"f{i}", card_token=f"c{i % 2}") for i in range(3)])
    drain_all()
    made = Decision.objects.select_related("transaction", "evidence").order_by("pk")
    events = [event_of(one.transaction) for one in made]
    taken = [(3, reversal_of(row)) for row in Reversal.objects.order_by("pk")]
    served = np.stack([np.frombuffer(bytes(one.evidence.features), "<f4")[:-1] for one in made])
    assert np.array_equal(served, replay(events, [], 6, lambda _: None, taken))
    assert not np.array_equal(served, replay(events, [], 6, lambda _: None))


def test_the_synchronous_door_tells_what_it_takes_back(champion, post, ask) -> None:
    post(event("e1"), door="decisions")
    answer = post(back(), door="decisions").json()
    assert answer["takes_back"] == {"event_id": "e1", "amount_minor": None}
    drain_all()
    assert sums() == (0, 0)
    assert ask("r1").json() == {**answer, "takes_back": {"event_id": "e1", "amount_minor": 1250}}
    assert ask("e1").json()["takes_back"] is None
