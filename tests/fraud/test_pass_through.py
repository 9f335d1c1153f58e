"""What the model would decline, let through by a draw: two people, a cap a day, the model's word alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.common.services.rates import business_day
from apps.fraud.decide.services import pass_through
from apps.fraud.models import (
    Decision,
    ListKind,
    ListName,
    OperatingPoint,
    PassThrough,
    PassThroughDay,
    PassThroughPolicy,
)
from apps.fraud.rules.rules import Rule
from apps.fraud.rules.services import rulesets
from apps.fraud.rules.services.lists import add_entry
from apps.fraud.rules.services.pass_policies import propose_policy, switch_on
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision
PAGE = "/fraud/rules/pass-through/"
PROPOSED = {"percent": "100", "daily_cap": "50.00", "note": "to learn"}


@pytest.fixture
def strict(site, champion, author) -> None:
    """The model declines whatever it sees."""
    with transaction.atomic():
        rulesets.revision_locked(site)
        OperatingPoint.objects.create(
            site=site, version=champion, method="cost", review=0, decline=0, asked={}, came_to={}, note="x",
            by=author, at=now(),
        )  # fmt: skip
        rulesets.moved(site)


@pytest.fixture
def let(site, strict, author, second) -> Callable[..., PassThroughPolicy]:
    def switch(probability: float = 1.0, daily_cap_minor: int = 5000) -> PassThroughPolicy:
        given = {"probability": probability, "daily_cap_minor": daily_cap_minor}
        policy = propose_policy(site=site, note="x", by=author, **given)
        switch_on(policy=policy, by=second)
        return policy

    return switch


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def decide(post: Callable[..., Any], *events: dict[str, Any]) -> list[Decision]:
    post(list(events))
    drain_all()
    return list(Decision.objects.order_by("transaction__event_id").select_related("evidence"))


def several(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [event(f"e{index}", card_token=f"card-{index}", **changes) for index in range(count)]


def test_it_works(strict, author, second, post, ask) -> None:
    """Proposed by one, switched on by another; then a decline is let through and says how likely that was."""
    analyst, colleague = client_of(author), client_of(second)
    assert [one.outcome for one in decide(post, event("e0"))] == ["decline"]
    assert analyst.post(PAGE, PROPOSED).status_code == 302
    assert "You proposed this" in analyst.get(PAGE).content.decode()
    refused = analyst.post(PAGE + "1/on/")
    assert refused.status_code == 403
    assert colleague.post(PAGE + "1/on/").status_code == 302
    before, passed = decide(post, event("e1"))
    assert (before.outcome, passed.outcome) == ("decline", "approve")
    assert passed.outcome_by_score == "decline"
    kept = PassThrough.objects.get()
    assert (kept.decision, kept.probability, kept.amount_minor) == (passed, 1.0, 1250)
    [reason] = [one for one in ask("e1").json()["reasons"] if one["code"] == "pass_through"]
    assert (reason["value"], reason["baseline"]) == (1.0, "policy 1")
    assert "12.50 EUR of 50.00 EUR" in colleague.get(PAGE).content.decode()
    told = AuditEvent.objects.filter(action__startswith="pass_through").order_by("pk")
    assert [(one.action, one.actor) for one in told] == [
        ("pass_through.proposed", f"user:{author.pk}"), ("pass_through.on", f"user:{second.pk}"),
    ]  # fmt: skip
    assert analyst.post(PAGE + "off/").status_code == 302
    assert [one.outcome for one in decide(post, event("e2"))] == ["decline", "approve", "decline"]


def test_without_the_second_person_one_would_do(strict, author, monkeypatch) -> None:
    monkeypatch.setattr("apps.fraud.rules.services.pass_policies.why_not", lambda *_: None)
    analyst = client_of(author)
    analyst.post(PAGE, PROPOSED)
    assert analyst.post(PAGE + "1/on/").status_code == 302


def test_the_sample_is_as_large_as_it_says(let, post, monkeypatch) -> None:
    """Each draw below the probability passes, and no other."""
    let(probability=0.25, daily_cap_minor=10**9)
    draws = iter([0.1, 0.25, 0.9, 0.2499])
    monkeypatch.setattr(pass_through, "_draw", lambda: next(draws))
    outcomes = [one.outcome for one in decide(post, *several(4))]
    assert sorted(outcomes) == ["approve", "approve", "decline", "decline"]
    assert {one.probability for one in PassThrough.objects.all()} == {0.25}


def test_what_a_rule_or_a_list_declines_is_never_let_through(let, site, author, second, post) -> None:
    let(daily_cap_minor=10**9)
    rule = Rule(code="rule_x", when='merchant_id == "bad"', action="decline", text="x")
    version = rulesets.save_version(site=site, author=author, rules=[rule], note="x")
    rulesets.activate_version(site=site, version=version, by=second, without_shadow=True)
    add_entry(
        site=site, name=ListName.BLOCK, kind=ListKind.TERMINAL_ID, value="blocked", reason="x",
        expires_at=None, author=author,
    )  # fmt: skip
    decisions = decide(post, event("e1", merchant_id="bad"), event("e2", terminal_id="blocked"))
    assert [one.outcome for one in decisions] == ["decline", "decline"]
    assert not PassThroughDay.objects.exists()


def test_without_that_look_a_rules_decline_would_be_drawn(let, site, author, post, monkeypatch) -> None:
    """It would count against the cap and be written down as let through, though the rule still declines."""
    let(daily_cap_minor=10**9)
    add_entry(
        site=site, name=ListName.BLOCK, kind=ListKind.TERMINAL_ID, value="blocked", reason="x",
        expires_at=None, author=author,
    )  # fmt: skip
    monkeypatch.setattr(pass_through, "settle", lambda *_: None)
    decide(post, event("e2", terminal_id="blocked"))
    assert PassThrough.objects.exists()


def test_a_rule_that_asks_for_a_review_still_gets_it(let, site, author, second, post) -> None:
    let()
    rule = Rule(code="rule_x", when="amount_minor > 0", action="review", text="x")
    version = rulesets.save_version(site=site, author=author, rules=[rule], note="x")
    rulesets.activate_version(site=site, version=version, by=second, without_shadow=True)
    [decision] = decide(post, event())
    assert decision.outcome == "review"
    assert decision.pass_through.probability == 1.0


def test_the_cap_ends_the_day_and_the_next_day_begins_anew(let, site, post) -> None:
    """The first draw beyond it closes the day: a small payment after it does not slip in."""
    let(daily_cap_minor=3000)
    amounts = [1250, 1250, 1250, 100]
    for index, amount in enumerate(amounts):
        decisions = decide(post, event(f"e{index}", card_token=f"card-{index}", amount_minor=amount))
    assert [one.outcome for one in decisions] == ["approve", "approve", "decline", "decline"]
    PassThroughDay.objects.update(day=business_day(now()).replace(year=2000))
    decisions = decide(post, event("e9", amount_minor=100))
    assert decisions[-1].outcome == "approve"


def test_within_one_batch_the_cap_holds_too(let, post) -> None:
    let(daily_cap_minor=3000)
    decide(post, *several(5))
    assert sum(PassThrough.objects.values_list("amount_minor", flat=True)) == 2500
    assert PassThroughDay.objects.get().drawn_minor == 5 * 1250


def test_a_payment_above_the_cap_is_not_drawn(let, post) -> None:
    let(daily_cap_minor=3000)
    [decision] = decide(post, event(amount_minor=3001))
    assert decision.outcome == "decline"
    assert not PassThroughDay.objects.exists()


def test_while_it_is_off_nothing_more_is_asked(strict, let, post, monkeypatch) -> None:
    """Nor while it is on and nothing is drawn; a batch of which something is takes two statements."""
    asked: list[str] = []
    for name in ("run", "insert"):
        monkeypatch.setattr(pass_through, name, _noting(asked, name, getattr(pass_through, name)))
    decide(post, event("e0"))
    let(probability=1e-12)
    decide(post, event("e1"))
    assert asked == []
    let(probability=1.0, daily_cap_minor=10**9)
    decide(post, event("e2"), event("e3"))
    assert asked == ["run", "insert"]


def _noting(asked: list[str], name: str, does: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        asked.append(name)
        return does(*args)

    return noted


def test_advice_is_not_drawn(let, post) -> None:
    """The payment has been made."""
    let()
    [decision] = decide(post, event(type="advice"))
    assert decision.outcome == "review"
    assert not PassThrough.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("percent", "0", "More than nothing"),
        ("percent", "100.1", "less than or equal to 100"),
        ("percent", "nan", "Enter a number"),
        ("daily_cap", "-5", "More than nothing"),
        ("daily_cap", "10000001", "less than or equal to"),
        ("note", "", "required"),
    ],
)
def test_a_bad_proposal_is_refused_with_its_reason(author, field, value, says) -> None:
    answer = client_of(author).post(PAGE, PROPOSED | {field: value})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not PassThroughPolicy.objects.exists()


def test_cents_are_kept(author) -> None:
    client_of(author).post(PAGE, PROPOSED | {"percent": "0.125", "daily_cap": "19.99"})
    policy = PassThroughPolicy.objects.get()
    assert (policy.probability, policy.daily_cap_minor) == (0.00125, 1999)


def test_what_was_proposed_is_never_changed(let) -> None:
    let()
    with pytest.raises(DatabaseError), transaction.atomic():
        PassThroughPolicy.objects.update(probability=1)


def test_another_sites_policy_is_not_found(let) -> None:
    policy = let()
    other = Site.objects.create(slug="south", name="South")
    stranger = client_of(User.objects.create_user("a@b.example", site=other, role="fraud_analyst"))
    assert stranger.post(f"{PAGE}{policy.number}/on/").status_code == 404
    assert "Nothing is let through" in stranger.get(PAGE).content.decode()
