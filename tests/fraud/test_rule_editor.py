"""The rule editor: a fault is shown at its place, and rules are tried before they are saved."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.fraud.models import Decision, RuleSet, Transaction
from apps.fraud.rules.expressions import Kind
from apps.fraud.rules.facts import FIELDS
from apps.fraud.tuning.services import dry_run
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_rule_pages import RULE, fields


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"when": "hour > 3 and amout_minor > 5"}, "Character 14: There is no field"),
        ({"when": "mcc > 5"}, "Character 1: &#x27;mcc&#x27; is text"),
        ({"when": "hour > 3\r\nand mcc == 5"}, "Character 14: This compares text with a number."),
        ({"when": "x" * 501}, "at most 500 characters"),
        ({"code": "Rule 1"}, "a letter first"),
        ({"code": "block_list"}, "a meaning of its own"),
        ({"text": "{card}"}, "Only {value} and {baseline}"),
        ({"text": "{value.real}"}, "Only {value} and {baseline}"),
        ({"text": "{value", }, "Only {value} and {baseline}"),
        ({"value": ""}, "say which field"),
        ({"value": "card_token"}, "Select a valid choice"),
        ({"baseline": "12.5"}, "whole number of minor units"),
        ({"text": "4111 1111 1111 1111"}, "looks like a card number"),
        ({"when": 'merchant_id == "4111111111111111"'}, "looks like a card number"),
    ],
)  # fmt: skip
def test_a_fault_is_shown_at_its_place_and_nothing_is_saved(analyst, changes, says) -> None:
    answer = analyst.post("/fraud/rules/new/", fields({**RULE, **changes}))
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not RuleSet.objects.exists()


@pytest.mark.parametrize(
    "given",
    [
        {"when": 'merchant_id == "4111111111111111" and hour > '},
        {"when": "4111111111111111 hour"},
        {"text": "4111 1111 1111 1111"},
        {"baseline": "4111111111111111"},
    ],
)
def test_a_card_number_is_not_shown_again(analyst, given) -> None:
    page = analyst.post("/fraud/rules/new/", fields({**RULE, **given})).content.decode()
    assert "looks like a card number" in page
    assert "4111" not in page.replace(" ", "")


def test_nor_one_that_was_pasted(analyst, source) -> None:
    events = json.dumps(event(card_token="4111111111111111"))
    pasted = analyst.post("/fraud/rules/new/", fields(RULE, do="test", on="events", events=events))
    assert "4111" not in pasted.content.decode()


def test_the_fault_is_marked_in_the_text(analyst) -> None:
    page = analyst.post(
        "/fraud/rules/new/", fields({**RULE, "when": "hour > 3 and amout > 5"})
    ).content.decode()
    assert '<code>hour &gt; 3 and <span class="chip critical">amout</span> &gt; 5</code>' in page


def test_a_set_is_bounded_and_a_code_stands_once(analyst) -> None:
    many = [{**RULE, "code": f"rule_{index}"} for index in range(101)]
    assert "at most 100" in analyst.post("/fraud/rules/new/", fields(*many)).content.decode()
    assert (
        "Another rule has this code" in analyst.post("/fraud/rules/new/", fields(RULE, RULE)).content.decode()
    )
    assert analyst.post("/fraud/rules/new/", fields(RULE, {**RULE, "action": "review"})).status_code == 302


def test_a_version_without_a_note_is_not_saved(analyst) -> None:
    assert "Say what changes" in analyst.post("/fraud/rules/new/", fields(RULE, note="")).content.decode()


def test_one_more_empty_rule_and_one_left_out(analyst) -> None:
    more = analyst.post("/fraud/rules/new/", fields(RULE, do="add")).content.decode()
    assert "Rule 2" in more
    empty = {
        "code": "",
        "action": "review",
        "state": "live",
        "when": "",
        "text": "",
        "value": "",
        "baseline": "",
    }
    gone = {**RULE, "code": "rule_gone", "DELETE": "on"}
    analyst.post("/fraud/rules/new/", fields(RULE, empty, gone))
    assert [rule["code"] for rule in RuleSet.objects.get().rules] == ["rule_night"]


def test_rules_are_tried_on_what_was_decided(analyst, champion, post) -> None:
    post([event(f"e{i}", amount_minor=500 * (i + 1)) for i in range(6)])
    drain_all()
    tried = analyst.post(
        "/fraud/rules/new/", fields(RULE, {**RULE, "action": "review", "state": "shadow"}, do="test")
    )
    page = " ".join(tried.content.decode().split())
    assert "6 transactions" in page
    assert "30.00 EUR is more than 10.00 EUR." in page
    assert '<span class="label">Hit</span><strong>4</strong>' in page
    assert "in shadow" in page
    assert "card-0001" not in page
    assert set(Decision.objects.values_list("ruleset_version", flat=True)) == {1}
    assert not RuleSet.objects.exists()
    assert AuditEvent.objects.filter(action="rules.tried", detail={"count": 6}).exists()


def test_of_what_was_decided_without_the_history_no_rule_is_asked_that_looks_at_it(
    analyst, champion, post, monkeypatch
) -> None:
    post([event("read", card_token="card-a"), event("blind", card_token="card-b")])
    drain_all()
    Decision.objects.filter(transaction__event_id="blind").update(mode="no_state", mode_reason="state_busy")
    new_card = {**RULE, "when": "card_history == 0 and amount_minor > 0"}

    def tried() -> str:
        return " ".join(
            analyst.post("/fraud/rules/new/", fields(new_card, do="test")).content.decode().split()
        )

    page = tried()
    assert '<span class="label">Hit</span><strong>1</strong>' in page
    assert "1 transaction was decided without the card's history" in page
    monkeypatch.setattr(dry_run, "answerable", lambda *_, **__: True)  # sabotage
    assert '<span class="label">Hit</span><strong>2</strong>' in tried()


def test_rules_are_tried_on_pasted_events(analyst, source) -> None:
    events = json.dumps([event(f"e{i}", card_token="card-9876") for i in range(9)])
    rule = {
        **RULE,
        "when": "card_count_10min >= 8 or card_count_24h >= 8",
        "value": "",
        "baseline": "",
        "text": "Many.",
    }
    page = analyst.post(
        "/fraud/rules/new/", fields(rule, do="test", on="events", events=events)
    ).content.decode()
    assert '<span class="label">Hit</span><strong>2</strong>' in page
    assert not Transaction.objects.exists()


def test_a_rule_that_fails_says_so_when_tried(analyst, source) -> None:
    rule = {**RULE, "when": "amount_minor / original_amount_minor > 1"}
    given = fields(rule, do="test", on="events", events=json.dumps(event(amount_minor=0)))
    assert "could not be worked out 1 time " in " ".join(
        analyst.post("/fraud/rules/new/", given).content.decode().split()
    )


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ("", "not valid JSON"),
        ("[]", "Send 1 to 500"),
        (json.dumps([{"event_id": "x"}]), "event 1, type: required"),
        (json.dumps([event(card_token="4111111111111111")]), "event 1, card_token: card_number"),
        (json.dumps([event(f"e{i}") for i in range(101)]), "Paste 1 to 100"),
    ],
)
def test_what_is_pasted_is_checked(analyst, source, events, says) -> None:
    given = fields(RULE, do="test", on="events", events=events)
    assert says in analyst.post("/fraud/rules/new/", given).content.decode()


def test_nothing_decided_yet_can_be_said(analyst, source) -> None:
    assert (
        "Nothing to try them on"
        in analyst.post("/fraud/rules/new/", fields(RULE, do="test")).content.decode()
    )


def test_another_sites_transactions_are_not_tried(analyst, post, source) -> None:
    post(event())
    drain_all()
    source.site = Site.objects.create(slug="south", name="South")
    source.save()
    assert (
        "Nothing to try them on"
        in analyst.post("/fraud/rules/new/", fields(RULE, do="test")).content.decode()
    )


def test_a_condition_is_checked_while_it_is_written(analyst) -> None:
    def ask(when: str) -> dict[str, object]:
        return analyst.post("/fraud/rules/check/", {"when": when}).json()

    assert ask("hour > 3")["ok"] is True
    fault = ask("hour > 3\r\nand amout > 5")
    assert (fault["ok"], fault["at"], fault["near"]) == (False, 13, "amout")
    refused = analyst.post("/fraud/rules/check/", {"when": 'merchant_id == "4111111111111111"'})
    assert "4111" not in refused.content.decode()
    assert "looks like a card number" in refused.json()["message"]
    assert refused["Cache-Control"] == "no-store"


def test_every_field_is_offered_with_its_meaning(analyst) -> None:
    page = analyst.get("/fraud/rules/new/").content.decode()
    found = re.search(r'<script id="rule-fields" type="application/json">(.*?)</script>', page, re.S)
    assert found
    offered = json.loads(found[1])
    assert {one["name"] for one in offered} == set(FIELDS)
    assert all(len(one["words"]) > 5 and one["kind"] in {kind.value for kind in Kind} for one in offered)
    meanings = [one["words"] for one in offered if one["of"] == "seen by the model"]
    assert len(set(meanings)) == len(meanings) == len(FEATURE_NAMES)
