"""The rules' pages: an analyst writes, tries and saves a version, another puts it in service; lists."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.fraud.expressions import Kind
from apps.fraud.facts import FIELDS
from apps.fraud.models import Decision, ListEntry, RuleActivation, RuleSet, Transaction
from apps.fraud.services import rulesets
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.conftest import drain_all, event

NOW = {"without_shadow": "yes"}  # put in service without having been in shadow
RULE = {
    "code": "rule_night", "action": "decline", "state": "live", "value": "amount_minor", "baseline": "1000",
    "when": "amount_minor > 1000", "text": "{value} is more than {baseline}.",
}  # fmt: skip


def fields(*rules: dict[str, str], do: str = "save", **about: str) -> dict[str, str]:
    data = {
        "form-TOTAL_FORMS": str(len(rules)),
        "form-INITIAL_FORMS": "0",
        "do": do,
        "note": "why",
        "on": "100",
    }
    for index, rule in enumerate(rules):
        data |= {f"form-{index}-{name}": value for name, value in rule.items()}
    return {**data, **about}


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.fixture
def colleague(second) -> Client:
    client = Client()
    client.force_login(second)
    return client


def test_it_works(analyst, colleague, post, author) -> None:
    """Written by one, put in service by another, and it decides."""
    assert "rule_large_amount" in analyst.get("/fraud/rules/new/").content.decode()
    saved = analyst.post("/fraud/rules/new/", fields(RULE), follow=True)
    assert saved.redirect_chain == [("/fraud/rules/2/", 302)]
    page = saved.content.decode()
    assert "somebody else puts it in service" in page
    assert "Put in service</button>" not in page
    assert "added" in page and "removed" in page
    refused = analyst.post("/fraud/rules/2/activate/")
    assert refused.status_code == 403
    assert "You wrote this version" in refused.content.decode()
    assert colleague.post("/fraud/rules/2/activate/", NOW).status_code == 302
    post(event())
    drain_all()
    made = Decision.objects.get()
    assert (made.outcome, made.main_reason) == ("decline", "12.50 EUR is more than 10.00 EUR.")
    listed = analyst.get("/fraud/rules/").content.decode()
    assert "1 added, 5 removed" in listed
    assert listed.index("Version 2") < listed.index("in service</span>") < listed.index("Version 1<")


def test_without_the_second_person_the_author_would_decide_alone(analyst, monkeypatch) -> None:
    monkeypatch.setattr(rulesets, "who_else", lambda *_: None)
    analyst.post("/fraud/rules/new/", fields(RULE))
    assert analyst.post("/fraud/rules/2/activate/", NOW).status_code == 302


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


def test_nor_one_that_was_pasted_or_listed(analyst, source) -> None:
    events = json.dumps(event(card_token="4111111111111111"))
    pasted = analyst.post("/fraud/rules/new/", fields(RULE, do="test", on="events", events=events))
    listed = analyst.post("/fraud/rules/lists/", {**ENTRY, "value": "4111111111111111"})
    assert "4111" not in (pasted.content + listed.content).decode()


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


# Trying.


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


# Lists.

ENTRY = {"list": "block", "kind": "card_token", "value": "card-0001", "reason": "stolen", "expires_at": ""}


def test_a_card_is_blocked_and_let_go(analyst, post) -> None:
    assert analyst.post("/fraud/rules/lists/", ENTRY).status_code == 302
    page = analyst.get("/fraud/rules/lists/").content.decode()
    assert "…0001" in page and "card-0001" not in page
    post(event("e1"))
    drain_all()
    entry = ListEntry.objects.get()
    assert analyst.post(f"/fraud/rules/lists/{entry.pk}/end/").status_code == 302
    post(event("e2"))
    drain_all()
    made = Decision.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(made) == ["decline", "approve"]
    assert "stolen" in analyst.get("/fraud/rules/lists/?show=ended").content.decode()
    assert "Nothing is blocked" in analyst.get("/fraud/rules/lists/").content.decode()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "country", "value": "XX"}, "ISO 3166"),
        ({"kind": "ip", "value": "10.0.0"}, "IPv4 or IPv6"),
        ({"kind": "bin", "value": "41111"}, "Six to eight digits"),
        ({"value": "4111111111111111"}, "looks like a card number"),
        ({"reason": "called about 4111 1111 1111 1111"}, "looks like a card number"),
        ({"expires_at": "2020-01-01T00:00"}, "This time is past"),
        ({"kind": "email"}, "Select a valid choice"),
        ({"value": ""}, "required"),
    ],
)
def test_an_entry_that_could_not_be_found_is_refused(analyst, changes, says) -> None:
    answer = analyst.post("/fraud/rules/lists/", {**ENTRY, **changes})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not ListEntry.objects.exists()


def test_what_a_source_declared_may_be_listed(analyst, source) -> None:
    source.luhn_valid_tokens = True
    source.save()
    assert analyst.post("/fraud/rules/lists/", {**ENTRY, "value": "4111111111111111"}).status_code == 302


def test_the_same_twice_is_said(analyst) -> None:
    analyst.post("/fraud/rules/lists/", {**ENTRY, "kind": "country", "value": "be"})
    answer = analyst.post("/fraud/rules/lists/", {**ENTRY, "kind": "country", "value": "BE"})
    assert "on the list already" in answer.content.decode()


def test_filters_of_the_list(analyst) -> None:
    analyst.post("/fraud/rules/lists/", ENTRY)
    assert "Clear filters" in analyst.get("/fraud/rules/lists/?list=allow&kind=bogus").content.decode()


# Other sites, other people.


def test_another_sites_entry_cannot_be_ended(analyst, colleague) -> None:
    analyst.post("/fraud/rules/lists/", ENTRY)
    stranger = Client()
    south = Site.objects.create(slug="south", name="South")
    stranger.force_login(User.objects.create_user("south@example.org", site=south, role="fraud_analyst"))
    assert stranger.post(f"/fraud/rules/lists/{ListEntry.objects.get().pk}/end/").status_code == 404
    assert ListEntry.objects.get().ended_at is None
    assert "0001" not in stranger.get("/fraud/rules/lists/").content.decode()


def test_another_sites_version_is_not_found(analyst) -> None:
    analyst.post("/fraud/rules/new/", fields(RULE))
    stranger = Client()
    south = Site.objects.create(slug="south", name="South")
    stranger.force_login(User.objects.create_user("south@example.org", site=south, role="fraud_analyst"))
    assert stranger.get("/fraud/rules/2/").status_code == 404
    assert stranger.post("/fraud/rules/2/activate/").status_code == 404
    assert "rule_night" not in stranger.get("/fraud/rules/new/?from=2").content.decode()
    assert not RuleActivation.objects.exists()


def test_an_operator_watches_and_writes_nothing(client, make_user) -> None:
    client.force_login(make_user("operator"))
    assert client.get("/fraud/rules/1/").status_code == 200
    page = client.get("/fraud/rules/").content.decode()
    assert "New version" not in page and "/fraud/rules/lists/" not in page
    assert client.get("/fraud/rules/new/").status_code == 403


def test_the_version_in_service_is_not_put_in_service_again(analyst) -> None:
    assert analyst.post("/fraud/rules/1/activate/").status_code == 409


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


SHADOW = {**RULE, "state": "shadow"}


def test_a_rule_is_in_shadow_before_it_is_live(analyst, colleague) -> None:
    """Or somebody says that it must be now, and that is kept."""
    analyst.post("/fraud/rules/new/", fields(RULE))
    assert "Never in shadow" in colleague.get("/fraud/rules/2/").content.decode()
    refused = colleague.post("/fraud/rules/2/activate/")
    assert (refused.status_code, "rule_night" in refused.content.decode()) == (409, True)
    analyst.post("/fraud/rules/new/", fields(SHADOW))
    assert colleague.post("/fraud/rules/3/activate/").status_code == 302
    assert "Never in shadow" not in colleague.get("/fraud/rules/2/").content.decode()
    assert colleague.post("/fraud/rules/2/activate/").status_code == 302
    analyst.post("/fraud/rules/new/", fields({**RULE, "when": "amount_minor > 999"}))
    assert colleague.post("/fraud/rules/4/activate/").status_code == 409
    assert colleague.post("/fraud/rules/4/activate/", NOW).status_code == 302
    told = AuditEvent.objects.filter(action="rules.activated").order_by("pk")
    assert [one.detail["without_shadow"] for one in told] == [[], [], ["rule_night"]]


def test_without_the_guard_nobody_would_have_seen_it(analyst, colleague, monkeypatch) -> None:
    monkeypatch.setattr(rulesets, "unshadowed", lambda *_: [])
    analyst.post("/fraud/rules/new/", fields(RULE))
    assert colleague.post("/fraud/rules/2/activate/").status_code == 302


def test_who_approved_a_version_stands_beside_who_wrote_it(analyst, colleague, second) -> None:
    analyst.post("/fraud/rules/new/", fields(SHADOW))
    assert second.email not in analyst.get("/fraud/rules/").content.decode()
    colleague.post("/fraud/rules/2/activate/")
    assert f'data-label="Approved by">{second.email}' in analyst.get("/fraud/rules/").content.decode()
