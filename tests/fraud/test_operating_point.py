"""The thresholds' page: asked for by hand, a budget or costs, shown before they hold, deciding after.

What one person may do alone and what takes two is in test_two_people.py.
"""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.fraud.models import Decision, OperatingPoint, OperatingProposal
from apps.fraud.rules.operating import held_by
from apps.fraud.rules.services import operating, rulesets
from apps.modelops.common import places
from ml.common.artefact import open_artefact, write_artefact
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision

ASKED = {
    "method": "budget", "review": "0.5", "decline": "0.9", "alerts_per_day": "12", "decline_precision": "80",
    "review_cost": "5", "review_saves": "90", "decline_saves": "100", "good_decline_cost": "20",
}  # fmt: skip
EVERYTHING = ASKED | {"alerts_per_day": "100000", "decline_precision": "50"}


@pytest.fixture
def admin(client: Client, make_user) -> Client:
    client.force_login(make_user("ml_admin"))
    return client


@pytest.fixture
def address(champion) -> str:
    return f"/fraud/operating/{champion.pk}/"


def test_it_works(admin, address, champion, post) -> None:
    """Reached from the version, looked at, saved; the next decision is made by it, the one before stands."""
    assert address in admin.get(f"/models/versions/{champion.pk}/").content.decode()
    page = admin.get(address).content.decode()
    assert "it decides as it was trained" in page and "held-out days" in page
    post(event("before"))
    drain_all()
    saved = admin.post(address, EVERYTHING | {"note": "all of it"}, follow=True)
    assert saved.redirect_chain == [(address, 302)]
    assert "all of it" in saved.content.decode()
    post(event("after"))
    drain_all()
    before, after = Decision.objects.order_by("pk")
    trained = champion_limits(champion)
    assert (before.review_threshold, before.decline_threshold) == (trained.review, trained.decline)
    point = OperatingPoint.objects.get()
    assert (after.review_threshold, after.decline_threshold) == (point.review, point.decline)
    assert point.review < trained.review
    assert before.score == pytest.approx(after.score, abs=0.2)
    told = AuditEvent.objects.get(action="operating_point.tightened")
    assert told.subject == f"version:{champion.pk}"
    assert told.detail == {
        "method": "budget", "review": point.review, "decline": point.decline, "proposal": point.proposal_id,
    }  # fmt: skip
    assert point.came_to["alerts_per_day"]["value"] > 12


def champion_limits(champion):
    return held_by(champion.artefact_hash).trained


def test_without_the_revision_nobody_would_notice(admin, address, champion, post, monkeypatch) -> None:
    """What was kept in mind of the site would go on deciding."""
    post(event("before"))
    drain_all()
    monkeypatch.setattr(operating, "moved", lambda site: 0)
    admin.post(address, EVERYTHING | {"note": "x"})
    post(event("after"))
    drain_all()
    assert Decision.objects.order_by("pk")[1].review_threshold == champion_limits(champion).review


def test_another_site_and_another_version_decide_as_they_did(admin, address, site, champion, post) -> None:
    admin.post(address, EVERYTHING | {"note": "x"})
    rules = rulesets.active_rules(site)
    assert set(rules.limits) == {champion.artefact_hash}
    other = Site.objects.create(slug="south", name="South")
    assert rulesets.active_rules(other).limits == {}


def test_asking_shows_and_changes_nothing(admin, address) -> None:
    few = admin.get(address + "consequence/", ASKED | {"alerts_per_day": "3"})
    many = admin.get(address + "consequence/", ASKED | {"alerts_per_day": "60"})
    assert few["Cache-Control"] == "no-store"
    assert few.content != many.content
    for text in ("Alerts a day", "Value recall", "Good payments declined", "Expected cost", "In service"):
        assert text in few.content.decode(), text
    assert not OperatingPoint.objects.exists()


def test_the_curve_marks_the_choice_and_what_is_in_service(admin, address) -> None:
    drawn = admin.get(address + "curve.json", ASKED | {"alerts_per_day": "3"}).json()
    assert [line["name"].split(",")[0] for line in drawn["lines"]] == ["in service", "chosen"]
    assert drawn["lines"][1]["value"] <= 3
    assert drawn["series"][0]["points"]
    assert admin.get(address + "curve.json").json()["lines"] == []


def test_by_cost_a_dearer_look_means_fewer_alerts(admin, address) -> None:
    for cost in ("1", "90"):
        admin.post(
            address, ASKED | {"method": "cost", "alerts_per_day": "", "review_cost": cost, "note": "x"}
        )
    cheap, dear = OperatingProposal.objects.order_by("pk")
    assert cheap.came_to["alerts_per_day"]["value"] > dear.came_to["alerts_per_day"]["value"]
    assert cheap.asked["costs"]["review_minor"] == 100


def test_by_hand_it_is_what_was_said(admin, address) -> None:
    admin.post(address, ASKED | {"method": "by_hand", "review": "0.001", "decline": "0.002", "note": "x"})
    point = OperatingPoint.objects.get()
    assert (point.method, point.review, point.decline) == ("by_hand", 0.001, 0.002)
    assert 'name="review" value="0.001"' in admin.get(address).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("alerts_per_day", "-1", "greater than or equal to 0"),
        ("alerts_per_day", "", "how many alerts"),
        ("alerts_per_day", "nan", "Enter a number"),
        ("decline_precision", "101", "less than or equal to 100"),
        ("review_cost", "100001", "less than or equal to 100000"),
        ("method", "guess", "valid choice"),
        ("review", "1.1", "less than or equal to 1"),
        ("note", "", "required"),
        ("note", "x" * 301, "at most 300"),
    ],
)
def test_a_bad_field_is_refused_with_its_reason(admin, address, field, value, says) -> None:
    answer = admin.post(address, ASKED | {"note": "x", field: value})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not OperatingPoint.objects.exists()
    shown = admin.get(address + "consequence/", ASKED | {field: value})
    assert shown.status_code == 200
    assert field == "note" or says in shown.content.decode()


def test_a_saved_point_is_never_changed(admin, address) -> None:
    admin.post(address, EVERYTHING | {"note": "x"})
    for kept in (OperatingPoint, OperatingProposal):
        with pytest.raises(DatabaseError), transaction.atomic():
            kept.objects.update(review=0.5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"review": "", "decline": "0.5"}, "from which score on"),
        ({"review": "0.5", "decline": ""}, "from which score on"),
        ({"review": "0.6", "decline": "0.5"}, "no lower than a review"),
    ],
)
def test_by_hand_both_are_needed_in_their_order(admin, address, given, says) -> None:
    answer = admin.post(address, ASKED | {"method": "by_hand", "note": "x"} | given)
    assert (answer.status_code, says in answer.content.decode()) == (422, True)


def test_a_version_without_held_out_days_says_so(admin, champion, trained, tmp_path) -> None:
    """As artefacts were written before there was such a table."""
    whole = open_artefact(trained.artefact_dir)
    names = ("weights.safetensors", "trees.ubj", "golden.npz")
    files = {name: whole.path(name).read_bytes() for name in names}
    folder = tmp_path / "older"
    champion.artefact_hash = write_artefact(folder, kind="fraud", files=files, meta=whole.meta)
    places.artefact_folder(champion.artefact_hash).symlink_to(folder)
    champion.save()
    answer = admin.get(f"/fraud/operating/{champion.pk}/")
    assert answer.status_code == 409
    assert "train again" in answer.content.decode()


def test_another_sites_version_is_not_found(address) -> None:
    stranger = Client()
    other = Site.objects.create(slug="south", name="South")
    stranger.force_login(User.objects.create_user("a@b.example", site=other, role="ml_admin"))
    for door in ("", "consequence/", "curve.json", "rates.json", "weeks.json"):
        assert stranger.get(address + door).status_code == 404
    assert stranger.post(address, ASKED | {"note": "x"}).status_code == 404
