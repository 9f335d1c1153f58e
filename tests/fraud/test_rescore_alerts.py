"""What a score after the fact would not have let pass is shown to a person, and says what it is."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.models import (
    Alert,
    Decision,
    ListEntry,
    ListKind,
    ListName,
    OperatingPoint,
    Rescore,
)
from apps.fraud.rules.services import lists
from apps.fraud.rules.services.rulesets import moved, revision_locked
from apps.fraud.wire.services.deliver import deliver_due
from apps.fraud.work.services.gather import gather_alerts
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision


def set_thresholds(version: Any, site: Any, review: float, decline: float) -> None:
    revision_locked(site)
    OperatingPoint.objects.create(
        site=site, version=version, method="cost", review=review, decline=decline, asked={}, came_to={},
        note="x", by=User.objects.create_user("points@example.org", site=site, role="ml_admin"), at=now(),
    )  # fmt: skip
    moved(site)


@pytest.fixture
def strict(champion, site) -> None:
    """Thresholds by which every score is reviewed."""
    set_thresholds(champion, site, 0.0, 1.0)


@pytest.fixture
def allowed(site) -> ListEntry:
    return lists.add_entry(
        site=site, author=User.objects.create_user("lists@example.org", site=site, role="fraud_analyst"),
        name=ListName.ALLOW, kind=ListKind.CARD_TOKEN, value="card-0001", reason="known", expires_at=None,
    )  # fmt: skip


def test_what_would_have_been_reviewed_gets_an_alert_by_money_at_risk(strict, unread) -> None:
    unread(event(amount_minor=20_000))
    assert not Alert.objects.exists()
    drain_all()
    alert, kept = Alert.objects.get(), Rescore.objects.get()
    assert kept.by_score == "review" and alert.decision.outcome == "approve"
    assert alert.risk_minor == round(kept.score * 20_000)
    assert AuditEvent.objects.get(action="decisions.rescored").detail["alerts"] == 1


def test_what_a_list_allowed_gets_none(strict, unread, allowed) -> None:
    unread(event(card_token="card-0001"), event("e2", card_token="card-0002"))
    drain_all()
    assert Rescore.objects.filter(by_score="review").count() == 2
    assert [one.decision.transaction.event_id for one in Alert.objects.all()] == ["e2"]


def test_were_the_list_not_looked_for_it_would_get_one(strict, unread, allowed, monkeypatch) -> None:
    monkeypatch.setattr(Decision, "was_allowed", False)
    unread(event())
    drain_all()
    assert Alert.objects.exists()


def test_what_a_person_looks_at_already_gets_no_other_alert(strict, unread) -> None:
    unread(event(amount_minor=300_000))
    assert Alert.objects.get().decision.outcome == "review"
    before = Alert.objects.values().get()
    drain_all()
    assert Rescore.objects.exists()
    assert Alert.objects.values().get() == before


def test_a_sites_own_thresholds_hold(unread, champion, site) -> None:
    set_thresholds(champion, site, 0.0, 0.5)
    unread(event())
    drain_all()
    kept = Rescore.objects.get()
    assert (kept.review_threshold, kept.decline_threshold) == (0.0, 0.5)
    assert kept.by_score != "approve"


def test_the_sender_is_not_told_again(strict, unread, listener) -> None:
    unread(event())
    deliver_due()
    drain_all()
    deliver_due()
    [(_, body)] = listener.heard
    assert Rescore.objects.exists() and b"rescored" not in body


def pages_of(made: Decision, client: Any) -> list[str]:
    """The queue and the decision's own page, blanks drawn together."""
    gather_alerts()
    found = [client.get(address) for address in ("/fraud/", f"/fraud/decisions/{made.public_id}/")]
    return [" ".join(page.content.decode().split()) for page in found]


@pytest.fixture
def analyst(client, make_user) -> Any:
    client.force_login(make_user("fraud_analyst"))
    return client


def test_queue_and_page_say_that_it_is_after_the_fact(strict, unread, analyst) -> None:
    unread(event(amount_minor=20_000))
    drain_all()
    kept = Rescore.objects.get()
    says = f"Scored after the fact by version 1: {kept.score:.2f}, would have been reviewed"
    assert all(says in page for page in pages_of(kept.decision, analyst))


@pytest.mark.parametrize(("kind", "says"), [("authorization", "declined"), ("advice", "reviewed")])
def test_of_a_payment_made_already_nothing_would_have_been_declined(
    champion, site, unread, analyst, kind: str, says: str
) -> None:
    set_thresholds(champion, site, 0.0, 0.0)
    unread(event(type=kind))
    drain_all()
    assert all(f"would have been {says}" in page for page in pages_of(Decision.objects.get(), analyst))


def test_the_live_queue_hears_of_such_an_alert(strict, unread, analyst) -> None:
    unread(event())
    address = html.unescape(
        re.search(r'hx-get="([^"]*rows/[^"]*)"', analyst.get("/fraud/").content.decode())[1]
    )
    assert analyst.get(address).status_code == 204
    drain_all()
    gather_alerts()
    assert "would have been" in analyst.get(address).content.decode()


def test_of_what_a_list_allowed_the_page_says_why_nothing_follows(strict, unread, allowed, analyst) -> None:
    unread(event())
    drain_all()
    queue, page = pages_of(Decision.objects.get(), analyst)
    assert "No open alert" in queue
    assert "high enough for a review, but a rule or list allows it" in page
