"""The page of lists: what is put on one by hand counts, and its senders hear of a card that is blocked."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.fraud.models import Act, Decision, ListEntry, OutboxRow, Transaction
from apps.fraud.settle.services import acts
from apps.fraud.tasks import deliver_decisions
from apps.fraud.wire.services.sources import ensure_source
from tests.fraud.conftest import drain_all, event

ENTRY = {"list": "block", "kind": "card_token", "value": "card-0001", "reason": "stolen", "expires_at": ""}


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


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


def test_another_sites_entry_cannot_be_ended(analyst) -> None:
    analyst.post("/fraud/rules/lists/", ENTRY)
    stranger = Client()
    south = Site.objects.create(slug="south", name="South")
    stranger.force_login(User.objects.create_user("south@example.org", site=south, role="fraud_analyst"))
    assert stranger.post(f"/fraud/rules/lists/{ListEntry.objects.get().pk}/end/").status_code == 404
    assert ListEntry.objects.get().ended_at is None
    assert "0001" not in stranger.get("/fraud/rules/lists/").content.decode()


def test_a_card_number_is_not_shown_again(analyst) -> None:
    refused = analyst.post("/fraud/rules/lists/", {**ENTRY, "value": "4111111111111111"})
    assert refused.status_code == 422
    assert "4111" not in refused.content.decode()


def test_a_block_made_here_is_told_acknowledged_and_taken_back_as_one_from_an_alert(
    analyst, post, source, listener
) -> None:
    post(event("e1"))
    drain_all()
    deliver_decisions()
    listener.heard.clear()
    assert analyst.post("/fraud/rules/lists/", ENTRY).status_code == 302
    assert "not acknowledged yet" in analyst.get("/fraud/rules/lists/").content.decode()
    deliver_decisions()
    [(_, body)] = listener.heard
    told = json.loads(body)
    assert (told["type"], told["data"]["card_token"], told["data"]["until"]) == (
        "card.blocked", "card-0001", None,
    )  # fmt: skip
    assert f"{source.name} acknowledged it" in analyst.get("/fraud/rules/lists/").content.decode()
    made = Decision.objects.get()
    column = analyst.post(f"/fraud/decisions/{made.public_id}/contact/", {}).content.decode()
    assert "Card blocked" in column and "acknowledged it" in column
    analyst.post(f"/fraud/rules/lists/{ListEntry.objects.get().pk}/end/")
    deliver_decisions()
    assert json.loads(listener.heard[-1][1])["type"] == "card.unblocked"
    assert not Act.objects.get(undoes=None).stands
    assert "acknowledged it" in analyst.get("/fraud/rules/lists/?show=ended").content.decode()


def test_without_the_cards_payments_no_sender_would_hear(analyst, post, listener, monkeypatch) -> None:
    """Sabotage: the entry alone, as if the page of lists only wrote it down."""
    post(event("e1"))
    drain_all()
    monkeypatch.setattr(acts, "latest_of_card", lambda *_: [])
    analyst.post("/fraud/rules/lists/", ENTRY)
    assert not OutboxRow.objects.filter(topic="card.blocked").exists()
    assert "no sender was told" in analyst.get("/fraud/rules/lists/").content.decode()


def test_every_source_that_sent_a_payment_of_the_card_is_told(analyst, post, source, listener, site) -> None:
    other = ensure_source(site=site, slug="other", name="Other")
    post([event("e1"), event("e2"), event("e3", card_token="another")])
    drain_all()
    Transaction.objects.filter(event_id="e2").update(source=other)
    analyst.post("/fraud/rules/lists/", ENTRY)
    told = Act.objects.order_by("decision").values_list("decision__transaction__source__slug", flat=True)
    assert list(told) == [source.slug, "other"]


def test_what_is_no_blocked_card_is_written_down_alone(analyst, post, listener) -> None:
    post(event("e1"))
    drain_all()
    for entry in ({**ENTRY, "list": "allow"}, {**ENTRY, "kind": "country", "value": "DE"}):
        assert analyst.post("/fraud/rules/lists/", entry).status_code == 302
    assert not Act.objects.exists()
    assert "no sender was told" not in analyst.get("/fraud/rules/lists/").content.decode()
