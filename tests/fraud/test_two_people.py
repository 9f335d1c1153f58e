"""To loosen takes two people; one may tighten, for a day, and somebody else looks at it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.models import Decision, OperatingPoint, OperatingProposal
from apps.fraud.rules import operating, rules
from apps.fraud.rules.operating import held_by
from apps.fraud.rules.services import operating as service
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision
ASKED = {
    "method": "by_hand", "alerts_per_day": "", "decline_precision": "80", "review_cost": "5",
    "review_saves": "90", "decline_saves": "100", "good_decline_cost": "20", "note": "why",
}  # fmt: skip
TIGHT = ASKED | {"review": "0.0001", "decline": "0.0002"}
TIGHTER = ASKED | {"review": "0.00005", "decline": "0.0001"}
LOOSE = ASKED | {"review": "0.999", "decline": "0.9999"}


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.fixture
def colleague(second) -> Client:
    client = Client()
    client.force_login(second)
    return client


@pytest.fixture
def address(champion) -> str:
    return f"/fraud/operating/{champion.pk}/"


@pytest.fixture
def as_trained(champion) -> tuple[float, float]:
    limits = held_by(champion.artefact_hash).trained
    return limits.review, limits.decline


@pytest.fixture
def limits(post):
    """By which thresholds the next payment is decided."""
    turn = iter(range(100))

    def decided() -> tuple[float | None, float | None]:
        post(event(name := f"e{next(turn)}"))
        drain_all()
        made = Decision.objects.get(transaction__event_id=name)
        return made.review_threshold, made.decline_threshold

    return decided


@pytest.fixture
def later(monkeypatch):
    """The time as these modules see it."""

    def move(hours: float) -> None:
        for module in (operating, rules, service):
            monkeypatch.setattr(module, "now", lambda: now() + timedelta(hours=hours))

    return move


def said(client: Client, verdict: str, note: str = "seen", number: int | None = None) -> Any:
    proposal = number or OperatingProposal.objects.latest("pk").pk
    return client.post(f"/fraud/operating/proposals/{proposal}/review/", {"verdict": verdict, "note": note})


def test_it_works(analyst, colleague, address, as_trained, limits) -> None:
    """Looser ones hold once a second person agrees, and not before."""
    assert b"waits for a second person" in analyst.get(address + "consequence/", LOOSE).content
    asked = analyst.post(address, LOOSE, follow=True)
    assert "it holds once somebody else agrees" in asked.content.decode()
    assert "You asked for this" in asked.content.decode()
    assert limits() == as_trained
    assert 'value="accept"' in colleague.get(address).content.decode()
    assert said(colleague, "accept").status_code == 302
    assert limits() == (0.999, 0.9999)
    assert "Waits for a second person" not in colleague.get(address).content.decode()
    actions = AuditEvent.objects.filter(action__startswith="operating_point").order_by("pk")
    assert [one.action for one in actions] == ["operating_point.proposed", "operating_point.accepted"]


def test_nobody_agrees_with_oneself(analyst, address, as_trained, limits) -> None:
    analyst.post(address, LOOSE)
    refused = said(analyst, "accept")
    assert (refused.status_code, "somebody else reviews it" in refused.content.decode()) == (403, True)
    assert limits() == as_trained


def test_without_the_second_person_one_would_loosen_alone(analyst, address, limits, monkeypatch) -> None:
    """Sabotage: with the guard gone the same request lets through what it should not."""
    monkeypatch.setattr(service, "why_not_review", lambda *_: None)
    analyst.post(address, LOOSE)
    assert said(analyst, "accept").status_code == 302
    assert limits() == (0.999, 0.9999)


def test_loosening_either_threshold_alone_takes_two(analyst, address, as_trained, limits) -> None:
    """Fewer declines for more reviews is a loosening too."""
    review, decline = as_trained
    for given in ((review / 2, decline * 1.01), (review, decline * 1.01)):
        analyst.post(address, ASKED | dict(zip(("review", "decline"), map(repr, given), strict=True)))
        assert limits() == as_trained
    assert OperatingProposal.objects.filter(loosens=True).count() == 2


def test_one_person_tightens_for_a_day_and_it_falls_back_by_itself(
    analyst, address, as_trained, limits, later
) -> None:
    assert b"holds at once" in analyst.get(address + "consequence/", TIGHT).content
    page = analyst.post(address, TIGHT, follow=True).content.decode()
    assert "for 24 hours at most" in page and "alone: review" in page
    assert limits() == (0.0001, 0.0002)
    later(23.9)
    assert limits() == (0.0001, 0.0002)
    later(24.1)  # nothing was written meanwhile and nobody rang: the process that decides looks at its clock
    assert limits() == as_trained
    assert OperatingPoint.objects.count() == 1
    assert "tightened: to be reviewed" in analyst.get(address).content.decode()


def test_what_is_kept_in_mind_would_go_on_without_the_clock(
    analyst, address, limits, later, monkeypatch
) -> None:
    """Sabotage: asked without the time, the worker would tighten for ever."""
    analyst.post(address, TIGHT)
    assert limits() == (0.0001, 0.0002)
    monkeypatch.setattr(rules.Holding, "at", lambda self, _: self.steps[0][1])
    later(48)
    assert limits() == (0.0001, 0.0002)


def test_a_second_person_makes_it_stay_or_ends_it(
    analyst, colleague, address, as_trained, limits, later
) -> None:
    analyst.post(address, TIGHT)
    assert said(colleague, "accept").status_code == 302
    later(48)
    assert limits() == (0.0001, 0.0002)
    analyst.post(address, TIGHTER)
    assert limits() == (0.00005, 0.0001)
    assert said(colleague, "refuse").status_code == 302
    assert limits() == (0.0001, 0.0002)
    page = analyst.get(address).content.decode()
    assert "refused" in page and "accepted" in page


def test_tightening_again_does_not_make_it_last_longer(
    analyst, colleague, address, as_trained, limits, later
) -> None:
    analyst.post(address, TIGHT)
    later(20)
    colleague.post(address, TIGHTER)
    assert limits() == (0.00005, 0.0001)
    later(24.1)
    assert limits() == as_trained


def test_nor_is_it_done_again_before_it_was_reviewed(analyst, colleague, address, limits, later) -> None:
    analyst.post(address, TIGHT)
    later(30)
    refused = analyst.post(address, TIGHT)
    assert (refused.status_code, "waits for its review" in refused.content.decode()) == (422, True)
    said(colleague, "refuse")
    assert analyst.post(address, TIGHT).status_code == 302
    assert limits() == (0.0001, 0.0002)


def test_a_review_says_why_it_refuses_and_is_made_once(analyst, colleague, address) -> None:
    analyst.post(address, TIGHT)
    assert said(colleague, "refuse", note="").status_code == 422
    assert said(colleague, "perhaps").status_code == 422
    assert said(colleague, "refuse").status_code == 302
    assert said(colleague, "accept").status_code == 409


def test_what_holds_already_is_not_asked_for(analyst, address) -> None:
    refused = analyst.post(address, ASKED | {"method": "trained", "review": "", "decline": ""})
    assert (refused.status_code, "hold already" in refused.content.decode()) == (422, True)
    assert not OperatingProposal.objects.exists()


def test_points_from_before_there_were_proposals_hold(
    analyst, address, champion, site, author, limits
) -> None:
    """As the release before wrote them: no end, nobody who agreed."""
    OperatingPoint.objects.create(
        site=site, version=champion, method="budget", review=0.3, decline=0.4, asked={"costs": {}},
        came_to={}, note="x", by=author, at=now(),
    )  # fmt: skip
    assert limits() == (0.3, 0.4)


def test_another_sites_proposal_is_not_found(analyst, address) -> None:
    analyst.post(address, LOOSE)
    stranger = Client()
    other = Site.objects.create(slug="south", name="South")
    stranger.force_login(User.objects.create_user("a@b.example", site=other, role="fraud_analyst"))
    assert said(stranger, "accept").status_code == 404


def test_an_analyst_comes_to_it_by_the_rules(analyst, address, champion) -> None:
    assert "/fraud/thresholds/" in analyst.get("/fraud/rules/").content.decode()
    assert analyst.get("/fraud/thresholds/").url == address
    champion.model.champion = None
    champion.model.save()
    assert "No model of this site is in service" in analyst.get("/fraud/thresholds/").content.decode()
