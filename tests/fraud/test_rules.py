"""Rules and lists at the real doors: what they decide, what they leave alone, who may change them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from apps.fraud.decide.services import verdicts
from apps.fraud.decide.services.decide import Hurry, decide_transactions
from apps.fraud.decide.services.ingest import ingest_transactions
from apps.fraud.decide.services.seen import observed
from apps.fraud.models import (
    Decision,
    Outcome,
    Transaction,
)
from apps.fraud.rules import builtin_rules
from apps.fraud.rules.rules import Rule, Rules
from apps.fraud.rules.services.rulesets import activate_version, active_rules, save_version
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import NoAnswer
from apps.fraud.wire.validation import check_events
from ml.fraud.features import N_FEATURES
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision


def rule(**changes: Any) -> Rule:
    given = {
        "code": "rule_small",
        "when": "amount_minor < 2000",
        "action": "decline",
        "text": "Small.",
        **changes,
    }
    return Rule(**given)


def decide(post: Callable[..., Any], *events: dict[str, Any]) -> list[Decision]:
    post(list(events))
    drain_all()
    found = Decision.objects.select_related("evidence", "transaction").order_by("transaction__event_id")
    return list(found)


def codes(made: Decision) -> list[str]:
    return [reason["code"] for reason in made.reasons if reason["weight"] is None]


def test_it_works(serve, post, ask) -> None:
    serve(rule(text="Only {value}, below {baseline}.", value="amount_minor", baseline="2000"))
    decide(post, event())
    answer = ask("e1").json()
    assert (answer["decision"], answer["ruleset_version"]) == ("decline", 2)
    [reason] = answer["reasons"]
    assert reason == {
        "code": "rule_small", "text": "Only 12.50 EUR, below 20.00 EUR.", "value": 1250.0, "baseline": 2000.0,
        "weight": None, "action": "decline", "this_event": None, "earlier_events": None, "other_events": None,
    }  # fmt: skip


# What every site begins with decides as the rules did when they were code.


def test_the_built_in_version_has_not_changed() -> None:
    text = json.dumps(builtin_rules.RULES, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "314133105bf97bee", (
        "decisions name version 1: add another"
    )


@pytest.mark.parametrize(
    ("amount", "outcome", "text"),
    [
        (249_999, "approve", ""),
        (250_000, "review", "The amount reaches the limit of 2,500.00 EUR."),
        (2_499_999, "review", "The amount reaches the limit of 2,500.00 EUR."),
        (2_500_000, "decline", "The amount reaches the limit of 25,000.00 EUR."),
    ],
)
def test_built_in_a_large_amount(post, amount, outcome, text) -> None:
    [made] = decide(post, event(amount_minor=amount))
    assert (made.outcome, made.main_reason, made.ruleset_version) == (outcome, text, 1)


def test_built_in_a_burst(post) -> None:
    made = decide(post, *(event(f"e{i:02}") for i in range(15)))
    assert [one.outcome for one in made] == ["approve"] * 7 + ["review"] * 7 + ["decline"]
    assert made[-1].reasons[0]["text"] == "15 transactions with this card within ten minutes."
    assert (made[7].reasons[0]["value"], made[7].reasons[0]["baseline"]) == (8, 8)


def test_built_in_two_countries(post) -> None:
    _, made = decide(post, event("e1"), event("e2", country="US"))
    assert made.outcome == "review"
    assert made.main_reason == "The card was present in US and in BE within one hour."
    assert (made.reasons[0]["value"], made.reasons[0]["baseline"]) == ("US", "BE")


# Precedence.


@pytest.fixture
def model_declines(champion, monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "by_thresholds", lambda *_: Outcome.DECLINE)


def test_the_model_decides_where_nothing_else_fires(model_declines, serve, post) -> None:
    serve()
    [made] = decide(post, event())
    assert made.outcome == "decline"


def test_an_allowed_card_is_not_the_models_business(model_declines, serve, listed, post) -> None:
    serve()
    listed("allow", "card_token", "card-0001")
    [made] = decide(post, event())
    assert (made.outcome, made.main_reason) == ("approve", "The card is on the allow list.")
    assert made.score is not None
    assert "card-0001" not in json.dumps(made.reasons)


def test_a_rule_that_approves_takes_the_models_word_away(model_declines, serve, post) -> None:
    serve(rule(action="approve"))
    [made] = decide(post, event())
    assert (made.outcome, made.main_reason) == ("approve", "Small.")


@pytest.mark.parametrize("action", ["review", "decline"])
def test_what_is_allowed_silences_no_rule(model_declines, serve, listed, post, action) -> None:
    serve(rule(action=action))
    listed("allow", "merchant_id", "m1")
    [made] = decide(post, event())
    assert (made.outcome, made.main_reason) == (action, "Small.")


def test_a_review_leaves_the_model_its_decline(model_declines, serve, post) -> None:
    serve(rule(action="review"))
    [made] = decide(post, event())
    assert made.outcome == "decline"


def test_the_block_list_beats_all(serve, listed, post) -> None:
    serve(rule(action="approve"))
    listed("allow", "card_token", "card-0001")
    listed("block", "country", "BE")
    [made] = decide(post, event())
    assert (made.outcome, made.main_reason) == ("decline", "The country is on the block list.")
    assert codes(made) == ["block_list", "rule_small", "allow_list"]


def test_an_advice_is_never_declined(serve, post) -> None:
    serve(rule())
    [made] = decide(post, event(type="advice"))
    assert made.outcome == "review"


# Shadow.


def test_a_rule_in_shadow_is_kept_and_changes_nothing(serve, post, ask, client, author) -> None:
    serve(rule(shadow=True))
    [made] = decide(post, event())
    assert (made.outcome, made.main_reason) == ("approve", "")
    [kept] = made.reasons
    assert (kept["code"], kept["action"], kept["shadow"]) == ("rule_small", "decline", True)
    assert "rule_small" not in {reason["code"] for reason in ask("e1").json()["reasons"]}
    client.force_login(author)
    assert "would have declined" in client.get(f"/fraud/decisions/{made.public_id}/").content.decode()


def test_without_that_look_a_shadow_would_decide(serve, post, monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "settle", lambda hits, _: max(hit.outcome for hit in hits))
    serve(rule(shadow=True))
    [made] = decide(post, event())
    assert made.outcome == "decline"


# A rule that fails.

FAILS = rule(code="rule_ratio", when="original_amount_minor / amount_minor > 1")


def test_a_rule_that_fails_is_passed_over_and_counted(site, serve, post, caplog) -> None:
    serve(FAILS, rule())
    [made] = decide(post, event(amount_minor=0))
    assert (made.outcome, codes(made)) == ("decline", ["rule_small"])
    assert active_rules(site).failures == {"rule_ratio": 1}


def test_unguarded_it_would_stop_the_batch(serve, post, monkeypatch) -> None:
    def let_through(self: Rules, code: str, error: Exception) -> None:
        raise error

    monkeypatch.setattr(Rules, "_failed", let_through)
    serve(FAILS, rule())
    assert decide(post, event(amount_minor=0)) == []


def test_a_rule_whose_field_is_gone_is_left_out(site, author, second, post) -> None:
    version = save_version(
        site=site, author=author, rules=[rule(code="rule_old", when="gone > 1"), rule()], note="x"
    )
    activate_version(site=site, version=version, by=second, without_shadow=True)
    [made] = decide(post, event())
    assert codes(made) == ["rule_small"]


# Features without a model.


def test_rules_see_the_cards_history_where_the_model_says_nothing(champion, serve, post, monkeypatch) -> None:
    serve(rule(code="rule_busy", when="has_state and card_count_24h >= 3"))
    decide(post, *(event(f"e{i}") for i in range(3)))
    monkeypatch.setattr(inference, "loaded", lambda *_: NoAnswer("model_unreadable"))
    *_, last = decide(post, event("e3"))
    assert (last.mode, codes(last)) == ("rules_only", ["rule_busy"])


def test_the_model_and_the_reducer_show_a_rule_the_same(champion, serve, post) -> None:
    """In service a rule sees the vector the trees saw; the reducer alone must make the same."""
    serve()
    decide(post, *(event(f"e{i}", amount_minor=700 + 130 * i) for i in range(6)))
    made = list(Decision.objects.select_related("transaction", "evidence").order_by("pk"))
    alone = observed([one.transaction for one in made], {})
    for one, vector in zip(made, alone, strict=True):
        assert bytes(one.evidence.features)[: 4 * N_FEATURES] == vector.tobytes()


def test_where_states_could_not_be_had_a_rule_can_tell(champion, serve, source) -> None:
    serve(rule(code="rule_blind", when="not has_state and card_count_24h == 0"))
    ingest_transactions(source=source, events=check_events([event()]))
    with transaction.atomic():
        rows = list(Transaction.objects.select_related("source__site"))
        [made] = decide_transactions(rows, Hurry(time.monotonic() + 60, without_state=True))
    assert (made.mode, codes(made)) == ("no_state", ["rule_blind"])
