"""The pages of rule versions: an analyst saves one, another puts it in service."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.fraud.models import Decision, RuleActivation
from apps.fraud.rules.services import rulesets
from tests.fraud.conftest import drain_all, event

NOW = {"without_shadow": "yes"}  # put in service without having been in shadow
RULE = {
    "code": "rule_night", "action": "decline", "state": "live", "value": "amount_minor", "baseline": "1000",
    "when": "amount_minor > 1000", "text": "{value} is more than {baseline}.",
}  # fmt: skip
SHADOW = {**RULE, "state": "shadow"}


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
