"""The analyst's pages of decisions: live, narrowed by filters, cut to one's site, and audited."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.fraud.models import Decision, Evidence, Source
from tests.fraud.conftest import drain_all, event


@pytest.fixture
def analyst(client: Client, make_user) -> Client:
    client.force_login(make_user("fraud_analyst"))
    return client


def test_it_works(analyst, champion, post) -> None:
    post(event(card_token="card-0009"))
    drain_all()
    page = analyst.get("/fraud/?show=recent").content.decode()
    assert "12.50 EUR" in page
    assert "…0009" in page
    assert "card-0009" not in page


def test_filters_that_find_nothing_can_be_cleared(analyst, post) -> None:
    post(event())
    drain_all()
    assert "Clear filters" in analyst.get("/fraud/?show=recent&outcome=decline").content.decode()
    assert analyst.get("/fraud/?show=x&outcome=%27&card_end=%27%27").status_code == 200


def test_the_live_part_answers_only_when_something_changed(analyst, post) -> None:
    address = re.search(r'hx-get="([^"]*rows/[^"]*)"', analyst.get("/fraud/?show=recent").content.decode())[1]
    address = html.unescape(address)
    assert analyst.get(address).status_code == 204
    post(event())
    drain_all()
    answer = analyst.get(address)
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith("<tbody")
    assert "12.50 EUR" in answer.content.decode()


def test_a_decision_shows_score_and_reasons_and_is_audited(analyst, champion, post) -> None:
    post([event(), event("e2", amount_minor=777)])
    drain_all()
    made = Decision.objects.get(transaction__event_id="e1")
    page = analyst.get(f"/fraud/decisions/{made.public_id}/").content.decode()
    assert "version 1" in page
    assert "review at" in page
    assert "7.77 EUR" in page
    assert AuditEvent.objects.filter(
        action="transaction.viewed", subject=f"transaction:{made.transaction_id}"
    ).exists()


def test_another_sites_decision_is_not_found(analyst, post) -> None:
    post(event())
    drain_all()
    Source.objects.update(site=Site.objects.create(slug="south", name="South"))
    made = Decision.objects.get()
    assert analyst.get(f"/fraud/decisions/{made.public_id}/").status_code == 404
    assert "12.50 EUR" not in analyst.get("/fraud/?show=recent").content.decode()


@pytest.mark.parametrize("role", ["radiologist", "ml_admin", "auditor", "operator"])
def test_other_roles_stay_out(client, make_user, role) -> None:
    client.force_login(make_user(role))
    assert client.get("/fraud/").status_code == 403
    assert client.get("/fraud/rows/").status_code == 403


@pytest.mark.parametrize(
    ("score", "says"),
    [(0.1, "too low for a review"), (0.5, "high enough for a review"), (0.9, "high enough to decline")],
)
def test_the_page_says_what_the_score_alone_asked_for(analyst, champion, post, score, says) -> None:
    post(event())
    drain_all()
    Decision.objects.update(score=score, review_threshold=0.5, decline_threshold=0.9)
    page = analyst.get(f"/fraud/decisions/{Decision.objects.get().public_id}/").content.decode()
    assert says in page


@pytest.fixture
def led_by_another(champion, post, monkeypatch) -> Decision:
    """A decision whose network remembers e0 to e3 of the card."""
    monkeypatch.setattr("ml.fraud.reasons.TOP", 16)
    post([event(f"e{number}", amount_minor=1000 + 111 * number) for number in range(5)])
    drain_all()
    return Decision.objects.get(transaction__event_id="e4")


def part_of_network(analyst: Client, made: Decision) -> str:
    page = analyst.get(f"/fraud/decisions/{made.public_id}/").content.decode()
    found = re.search(r"Behind the order of this card's transactions</th>(.*?)</table>", page, re.DOTALL)
    return found[1] if found else ""


def test_the_earlier_payments_that_moved_the_network_lead_to_their_decisions(analyst, led_by_another) -> None:
    part = part_of_network(analyst, led_by_another)
    assert "This payment by itself" in part and "other earlier payments" in part
    for number in range(4):
        of = Decision.objects.get(transaction__event_id=f"e{number}")
        amount = f"{10 + 1.11 * number:.2f} EUR at m1"
        assert f'<a href="/fraud/decisions/{of.public_id}/">{amount}</a>' in part
    assert len(re.findall(r"<time ", part)) == 4


def test_once_their_vectors_are_gone_the_rest_is_left(analyst, led_by_another) -> None:
    Evidence.objects.exclude(decision=led_by_another).delete()
    part = part_of_network(analyst, led_by_another)
    assert "This payment by itself" in part
    assert "<a href" not in part


def test_without_a_memory_of_the_card_nothing_is_split(analyst, champion, post) -> None:
    post(event(occurred_at="2021-05-01T00:00:00Z"))
    drain_all()
    assert part_of_network(analyst, Decision.objects.get()) == ""
