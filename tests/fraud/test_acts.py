"""What analysts do about a payment: it counts here, and the sender hears of it and acknowledges."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from standardwebhooks import Webhook

from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import (
    Act,
    ContactAttempt,
    Decision,
    FraudType,
    Ground,
    ListEntry,
    OutboxRow,
    Source,
    Verdict,
)
from apps.fraud.settle.services.acts import release
from apps.fraud.settle.services.dispositions import Said, dispose
from apps.fraud.tasks import deliver_decisions
from apps.fraud.wire.services.sources import valid_secrets
from apps.fraud.work.services.work import take_item
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision
LARGE = 600_000
BLOCK = {"do": "block", "days": "7", "reason": "stolen"}


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


def column(analyst: Client, made: Decision) -> str:
    """The column beside the alert, as a refused form shows it."""
    return analyst.post(f"/fraud/decisions/{made.public_id}/contact/", {}).content.decode()


def test_a_block_is_told_acknowledged_and_undone(alerts, analyst, listener, post, source) -> None:
    [found] = alerts(LARGE)
    deliver_decisions()
    page = f"/fraud/decisions/{found.decision.public_id}/act/"
    assert analyst.post(page, BLOCK).status_code == 302
    assert "not acknowledged yet" in column(analyst, found.decision)
    listener.heard.clear()
    deliver_decisions()
    [(headers, body)] = listener.heard
    told = Webhook(valid_secrets(source)[0]).verify(body, headers)
    made = Act.objects.get()
    assert headers["webhook-id"] == f"act_{made.public_id.hex}"
    assert (told["type"], told["data"]["card_token"]) == ("card.blocked", "card-0001")
    assert told["data"]["until"] == made.entry.expires_at.isoformat()
    assert "acknowledged it" in column(analyst, found.decision)
    post(event("later"))
    drain_all()
    assert Decision.objects.get(transaction__event_id="later").outcome == "decline"
    deliver_decisions()
    listener.heard.clear()
    assert analyst.post(f"/fraud/acts/{made.public_id}/undo/").status_code == 302
    deliver_decisions()
    [(_, body)] = listener.heard
    assert json.loads(body)["type"] == "card.unblocked"
    assert ListEntry.objects.get().ended_at is not None
    assert analyst.post(f"/fraud/acts/{made.public_id}/undo/").status_code == 409
    assert "undone" in column(analyst, found.decision)


def test_what_the_sender_does_not_take_is_not_called_acknowledged(alerts, analyst, listener) -> None:
    [found] = alerts(LARGE)
    deliver_decisions()
    analyst.post(f"/fraud/decisions/{found.decision.public_id}/act/", BLOCK)
    listener.answers = [500]
    deliver_decisions()
    page = column(analyst, found.decision)
    assert "not acknowledged yet, 1 attempt" in page
    assert "acknowledged it" not in page


def test_a_sender_without_an_address_is_said_to_hear_nothing(alerts, analyst) -> None:
    [found] = alerts(LARGE)
    analyst.post(f"/fraud/decisions/{found.decision.public_id}/act/", BLOCK)
    assert not OutboxRow.objects.exists()
    assert "takes no messages" in column(analyst, found.decision)
    again = analyst.post(f"/fraud/decisions/{found.decision.public_id}/act/", BLOCK)
    assert again.status_code == 409
    assert "on the list already" in again.content.decode()


def test_legitimate_and_released_in_one(alerts, author, listener) -> None:
    [found] = alerts(LARGE)
    said = Said(Verdict.LEGITIMATE, Ground.HOLDER_CONFIRMS, release=True)
    dispose(take_item(found.item, author), [found.pk], said, author)
    deliver_decisions()
    assert {json.loads(body)["type"] for _, body in listener.heard} == {"decision.made", "payment.released"}
    with pytest.raises(LynceusError, match="released already"):
        release(found.decision, author)
    Source.objects.update(review_means="decline")
    fresh = Decision.objects.select_related("transaction__source").get(pk=found.decision_id)
    with pytest.raises(LynceusError, match="does not hold"):
        release(fresh, author)


def test_a_block_lasts_as_long_as_it_was_said(alerts, author) -> None:
    [found] = alerts(LARGE)
    until = now() + timedelta(days=1)
    said = Said(Verdict.FRAUD, Ground.PATTERN, FraudType.COUNTERFEIT, block=True, until=until)
    dispose(take_item(found.item, author), [found.pk], said, author)
    assert ListEntry.objects.get().expires_at == until


def test_what_a_payment_came_by_is_listed(alerts, analyst) -> None:
    [found] = alerts(LARGE, device_id="d-1")
    page = f"/fraud/decisions/{found.decision.public_id}/act/"
    fields = {"do": "list", "name": "block", "kind": "device_id", "days": "30", "reason": "seen before"}
    assert analyst.post(page, fields).status_code == 302
    entry = ListEntry.objects.get()
    assert (entry.kind, entry.value, entry.reason) == ("device_id", "d-1", "seen before")
    assert entry.expires_at is not None
    assert analyst.post(page, {**fields, "kind": "ip"}).status_code == 422  # it came without one
    assert analyst.post(page, {"do": "burn"}).status_code == 422


def test_a_contact_attempt_is_written_down_and_shown(alerts, analyst, author) -> None:
    [found] = alerts(LARGE)
    page = f"/fraud/decisions/{found.decision.public_id}/contact/"
    fields = {"channel": "phone", "outcome": "denied", "note": "Says the card was stolen on Monday."}
    assert analyst.post(page, fields).status_code == 302
    kept = ContactAttempt.objects.get()
    assert (kept.channel, kept.outcome, kept.by) == ("phone", "denied", author)
    shown = column(analyst, found.decision)
    assert "denies the payment" in shown and "stolen on Monday" in shown
    ahead = (now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert "has not come yet" in analyst.post(page, {**fields, "made_at": ahead}).content.decode()
    refused = analyst.post(page, {**fields, "note": "4111 1111 1111 1111"})
    assert refused.status_code == 422
    assert "4111" not in refused.content.decode()
    assert ContactAttempt.objects.count() == 1
