"""The network's part of a decision, split over the card's earlier payments: with it where it is not simply
approved, and made when somebody asks for the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.decide.services import decide, earlier
from apps.fraud.decide.services.reasons import reasons_of
from apps.fraud.models import Decision, Evidence, HeardLater, Transaction
from apps.fraud.serving import inference
from apps.fraud.wire.services.sources import ensure_source
from apps.modelops.common.places import artefact_folder
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_promotion import promote  # noqa: F401 - a fixture
from tests.fraud.test_rebuild import without_state

pytestmark = pytest.mark.decision
LARGE = 300_000  # a built-in rule wants a person to look at it


def past(number: int, of: int, **changes: Any) -> dict[str, Any]:
    """One of some payments an hour apart, the last of them just now."""
    at = now() - timedelta(hours=of - number)
    plain = {"event_id": f"e{number}", "occurred_at": at.isoformat(), "amount_minor": 1000 + 10 * number}
    return event(**plain | changes)


def network_of(answer: dict[str, Any]) -> dict[str, Any]:
    [reason] = [one for one in answer["reasons"] if one["code"] == "sequence"]
    return reason


def total(reason: dict[str, Any]) -> float:
    of_earlier = sum(one["weight"] for one in reason["earlier_events"])
    return reason["this_event"] + of_earlier + reason["other_events"]


@pytest.fixture
def always_told(monkeypatch) -> None:
    """The network of so small a version hardly ever ranks among the strongest reasons."""
    monkeypatch.setattr("ml.fraud.reasons.TOP", 16)


@pytest.fixture
def one_by_one(post) -> Callable[..., None]:
    def send(*events: dict[str, Any]) -> None:
        for one in events:
            post(one)
            drain_all()

    return send


def test_it_works(champion, always_told, one_by_one, ask) -> None:
    one_by_one(*(past(number, 7) for number in range(8)))
    reason = network_of(ask("e7").json())
    assert len(reason["earlier_events"]) == earlier.TOLD
    assert {one["event_id"] for one in reason["earlier_events"]} < {f"e{number}" for number in range(7)}
    sizes = [abs(one["weight"]) for one in reason["earlier_events"]]
    assert sizes == sorted(sizes, reverse=True)
    assert total(reason) == pytest.approx(reason["weight"], abs=1e-12)
    assert Evidence.objects.get(decision__transaction__event_id="e7").reasons == []


def test_one_that_wants_a_person_has_them_with_it(champion, always_told, one_by_one, post, ask) -> None:
    one_by_one(*(past(number, 6) for number in range(6)))
    reason = network_of(
        post(past(6, 6, amount_minor=LARGE), door="decisions", lynceus_deadline_ms="2000").json()
    )
    assert len(reason["earlier_events"]) == earlier.TOLD
    assert total(reason) == pytest.approx(reason["weight"], abs=1e-12)
    artefact_folder(champion.artefact_hash).unlink()
    assert network_of(ask("e6").json()) == reason


def with_a_strange_one(name: str, card_token: str, at: int | None) -> list[dict[str, Any]]:
    """Twenty payments of a card, one of them like no other of it."""
    strange = {"amount_minor": 90_000, "country": "US", "terminal_id": "t9", "merchant_id": "m9"}
    return [
        past(number, 20, event_id=f"{name}{number}", card_token=card_token)
        | (strange if number == at else {"terminal_id": f"t-{card_token}"})
        for number in range(20)
    ]


def test_an_unusual_earlier_payment_leads_the_list(champion, always_told, post, ask) -> None:
    post(with_a_strange_one("s", "card-s", 17))
    post(with_a_strange_one("p", "card-p", None))
    drain_all()
    led, plain = (network_of(ask(event_id).json())["earlier_events"] for event_id in ("s19", "p19"))
    assert led[0]["event_id"] == "s17"
    assert all(abs(led[0]["weight"]) > abs(one["weight"]) for one in plain)


def test_without_their_vectors_none_would_lead(champion, always_told, post, ask, monkeypatch) -> None:
    monkeypatch.setattr(earlier, "_history", lambda *_: [])
    post(with_a_strange_one("s", "card-s", 17))
    drain_all()
    assert network_of(ask("s19").json())["earlier_events"] == []


@pytest.mark.parametrize("door", ["inline", "asked"])
def test_those_of_the_same_batch_count_and_later_ones_do_not(
    champion, always_told, post, ask, door: str
) -> None:
    """Together or one by one, then or later: the same."""
    amount = LARGE if door == "inline" else 1300
    together = [past(number, 4, amount_minor=amount if number == 3 else 1000) for number in range(5)]
    post(together)
    drain_all()
    for one in together:
        of_another = {"card_token": "card-s", "terminal_id": "t-s", "merchant_id": "m-s"}
        post(one | of_another | {"event_id": f"s{one['event_id']}"})
        drain_all()
    in_batch, singly = (network_of(ask(event_id).json()) for event_id in ("e3", "se3"))
    assert {one["event_id"] for one in in_batch["earlier_events"]} == {"e0", "e1", "e2"}
    assert [one["event_id"] for one in singly["earlier_events"]] == [
        "s" + one["event_id"] for one in in_batch["earlier_events"]
    ]
    assert [one["weight"] for one in singly["earlier_events"]] == pytest.approx(
        [one["weight"] for one in in_batch["earlier_events"]], abs=1e-6
    )
    assert in_batch["other_events"] == pytest.approx(0, abs=1e-5)


def test_made_when_asked_for_it_is_what_it_was_then(champion, always_told, post, one_by_one) -> None:
    one_by_one(*(past(number, 6) for number in range(4)), past(4, 6, amount_minor=LARGE))
    one_by_one(past(5, 6), past(6, 6))
    made = Decision.objects.select_related("evidence").get(transaction__event_id="e4")
    then = network_of({"reasons": made.evidence.reasons})
    made.evidence.reasons = [one for one in made.evidence.reasons if one["weight"] is None]
    assert network_of({"reasons": reasons_of(made)}) == then


def test_what_is_no_longer_kept_is_part_of_the_rest(champion, always_told, one_by_one, ask) -> None:
    one_by_one(*(past(number, 6) for number in range(7)))
    before = network_of(ask("e6").json())
    Evidence.objects.filter(decision__transaction__event_id__in=["e0", "e1", "e2", "e3"]).delete()
    Evidence.objects.filter(decision__transaction__event_id="e4").update(features=b"")
    reason = network_of(ask("e6").json())
    assert [one["event_id"] for one in reason["earlier_events"]] == ["e5"]
    assert total(reason) == pytest.approx(before["weight"], abs=1e-12)
    Evidence.objects.exclude(decision__transaction__event_id="e6").delete()
    reason = network_of(ask("e6").json())
    assert reason["earlier_events"] == []
    assert reason["this_event"] == pytest.approx(before["this_event"], abs=1e-6)
    assert reason["this_event"] + reason["other_events"] == pytest.approx(reason["weight"], abs=1e-12)


def test_a_decision_without_the_cards_history_has_none(champion, always_told, one_by_one, ask) -> None:
    one_by_one(*(past(number, 3) for number in range(3)))
    one_by_one(past(3, 3, amount_minor=LARGE, occurred_at=(now() - timedelta(days=31)).isoformat()))
    answer = ask("e3").json()
    assert (answer["mode"], answer["decision"]) == ("no_state", "review")
    reason = network_of(answer)
    assert (reason["this_event"], reason["earlier_events"], reason["other_events"]) == (None, None, None)


def test_where_no_time_is_left_they_are_made_later(
    champion, always_told, one_by_one, ask, monkeypatch
) -> None:
    one_by_one(*(past(number, 3) for number in range(3)))
    with monkeypatch.context() as patch:
        patch.setattr(decide, "with_earlier", lambda *given: earlier.with_earlier(*given[:-1], until=0.0))
        one_by_one(past(3, 3, amount_minor=LARGE))
    kept = Evidence.objects.get(decision__transaction__event_id="e3").reasons
    assert "earlier_events" not in network_of({"reasons": kept})
    assert len(network_of(ask("e3").json())["earlier_events"]) == 3


def test_a_model_that_fails_on_them_leaves_the_decision(
    champion, always_told, one_by_one, monkeypatch
) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError

    predictor = inference.current_champion().predictor
    monkeypatch.setattr(type(predictor), "influences", broken)
    one_by_one(past(0, 1), past(1, 1, amount_minor=LARGE))
    made = Decision.objects.get(transaction__event_id="e1")
    assert made.mode == "full" and made.outcome != "approve"
    assert "earlier_events" not in network_of({"reasons": made.evidence.reasons})


def test_another_source_is_not_told_of_and_its_part_is_not_lost(
    champion, always_told, one_by_one, site, ask
) -> None:
    one_by_one(*(past(number, 4) for number in range(5)))
    before = network_of(ask("e4").json())
    other = ensure_source(site=site, slug="other", name="Other")
    Transaction.objects.filter(event_id__in=["e1", "e2"]).update(source=other)
    reason = network_of(ask("e4").json())
    assert {one["event_id"] for one in reason["earlier_events"]} == {"e0", "e3"}
    assert total(reason) == pytest.approx(before["weight"], abs=1e-12)


def test_another_sites_payments_are_never_looked_at(champion, always_told, one_by_one, ask, site) -> None:
    one_by_one(*(past(number, 4) for number in range(5)))
    south = ensure_source(site=Site.objects.create(slug="south", name="South"), slug="south", name="South")
    Transaction.objects.filter(event_id="e2").update(source=south)
    made = Decision.objects.get(transaction__event_id="e4")
    reason = network_of({"reasons": reasons_of(made)})
    assert {one["event_id"] for one in reason["earlier_events"]} == {"e0", "e1", "e3"}


def test_what_is_simply_approved_asks_for_nothing(champion, always_told, one_by_one, monkeypatch) -> None:
    asked: list[object] = []
    honest = earlier._ask
    monkeypatch.setattr(earlier, "_ask", lambda *given: asked.append(given) or honest(*given))
    one_by_one(past(0, 2), past(1, 2))
    assert asked == []
    one_by_one(past(2, 2, amount_minor=LARGE))
    assert len(asked) == 1


def test_what_the_card_heard_of_later_has_no_line_of_its_own(
    champion, always_told, one_by_one, post, ask
) -> None:
    """The network remembers it in a form that is not kept."""
    one_by_one(*(past(number, 5) for number in range(3)))
    post(past(3, 5))
    without_state("e3")
    drain_all()
    assert HeardLater.objects.count() == 1
    one_by_one(past(4, 5))
    reason = network_of(ask("e4").json())
    assert {one["event_id"] for one in reason["earlier_events"]} == {"e0", "e1", "e2"}
    assert total(reason) == pytest.approx(reason["weight"], abs=1e-12)
    assert abs(reason["other_events"]) > 1e-7


def test_after_a_promotion_it_is_the_new_networks_memory(promote, always_told, one_by_one, ask) -> None:  # noqa: F811
    one_by_one(*(past(number, 5) for number in range(4)))
    promote()
    one_by_one(past(4, 5))
    answer = ask("e4").json()
    reason = network_of(answer)
    assert answer["model_version"] == 2
    assert {one["event_id"] for one in reason["earlier_events"]} == {f"e{number}" for number in range(4)}
    assert reason["other_events"] == pytest.approx(0, abs=1e-5)
