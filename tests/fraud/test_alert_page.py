"""The alert on one screen: story, reasons that add up, money, who looked, who works on it."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.decide.services.reasons import influences_of
from apps.fraud.models import Alert, Decision, Evidence, WorkItem
from apps.fraud.work.services.gather import gather_alerts
from apps.fraud.work.services.work import take_item
from tests.fraud.conftest import come_back, drain_all, event
from tests.fraud.test_labels import say

LARGE = 600_000


@pytest.fixture
def analyst(client: Client, make_user) -> User:
    user = make_user("fraud_analyst", full_name="Ann Lyst")
    client.force_login(user)
    return user


@pytest.fixture
def colleague(site) -> User:
    return User.objects.create_user(
        "colleague@example.org", site=site, role="fraud_analyst", full_name="Col League"
    )


def at(**ago: float) -> str:
    return (now() - timedelta(**ago)).isoformat()


def made(event_id: str = "e9") -> Decision:
    return Decision.objects.get(transaction__event_id=event_id)


def page_of(client: Client, event_id: str = "e9", part: str = "") -> str:
    """As people read it: one line, without markup."""
    answer = client.get(f"/fraud/decisions/{made(event_id).public_id}/{part}")
    assert answer.status_code == 200
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return html.unescape(re.sub(r"\s+", " ", text))


@pytest.fixture
def alerted(champion, source, post) -> None:
    """A card with a past, a terminal with a fraud, then a large payment far away from a new device."""
    post(
        [
            event(f"e{n}", occurred_at=at(days=9 - n), device_id="d1", latitude=50.8, longitude=4.4)
            for n in range(5)
        ]
    )
    post(event("bad", card_token="another", occurred_at=at(days=3), terminal_id="t9"))
    drain_all()
    say(source, "bad")
    post(event(
        "e9", amount_minor=LARGE, terminal_id="t9", device_id="d2", ip="203.0.113.7", latitude=13.7,
        longitude=100.5, occurred_at=at(minutes=1), channel="ecom", entry_mode="ecommerce", cvv_result="N",
        three_ds={"trans_status": "U", "eci": "07"},
    ))  # fmt: skip
    post(event("e8", occurred_at=at(minutes=20), device_id="d1", latitude=50.8, longitude=4.4))
    drain_all()
    gather_alerts()


def test_it_works(client, analyst, alerted) -> None:
    page = page_of(client)
    assert "x this card's usual (" in page
    assert "from a new device" in page
    assert "nobody travels" in page
    assert "terminal had fraud last week" in page
    assert "Has it left? No the source was told to decline it" in page
    assert "Bears the loss The merchant" in page
    assert "does not match N" in page
    assert "Nobody: you are the first." in page
    assert "Work on this card" in page
    assert "km/h: impossible" in page
    assert re.search(r"Terminal t9 1 1 1 fraud last", page)
    assert "card-0001" not in page


def test_the_reasons_end_at_the_score_and_say_what_is_usual(client, analyst, alerted) -> None:
    source = client.get(f"/fraud/decisions/{made().public_id}/").content.decode()
    table = re.search(r'<table class="reasons measured">(.*?)</table>', source, re.DOTALL)[1]
    assert "Value" in table and "Usually" in table
    bars = [float(one) for one in re.findall(r'<td class="number">\+?(-?\d+\.\d\d)</td>\s*</tr>', table)]
    assert sum(bars[:-1]) == pytest.approx(bars[-1], abs=0.01 * len(bars))


def test_each_earlier_payment_shows_what_it_moved_the_network_by(client, analyst, alerted) -> None:
    weights = influences_of(made())
    assert set(weights) == set(
        Decision.objects.filter(transaction__card_token="card-0001", pk__lt=made().pk).values_list(
            "pk", flat=True
        )
    )
    page = page_of(client)
    for weight in weights.values():
        assert (f"{weight:+.2f}" if abs(weight) >= 0.005 else " 0.00 ") in page


def test_once_the_vectors_are_gone_the_page_says_so_and_stands(client, analyst, alerted) -> None:
    Evidence.objects.all().delete()
    page = page_of(client)
    assert "The reasons were kept for a while and are gone" in page
    assert "x this card's usual (12.50 EUR)" in page


def test_without_a_model_the_story_is_still_told(client, analyst, post) -> None:
    post([event(f"e{n}", occurred_at=at(hours=9 - n)) for n in range(4)])
    post(event("e9", amount_minor=LARGE))
    drain_all()
    page = page_of(client)
    assert "479x this card's usual" not in page  # both sides plus one, as the model counts
    assert "445x this card's usual (12.50 EUR)" in page
    assert "Decided by rules alone" in page


def test_who_looked_before_is_named_and_not_oneself_now(client, analyst, colleague, alerted) -> None:
    other = Client()
    other.force_login(colleague)
    page_of(other)
    page_of(other)
    page = page_of(client)
    assert "Col League 2 times" in page and "Ann Lyst" not in page.split("Who looked before")[1]


def test_taken_given_back_and_taken_over_with_a_record(client, analyst, colleague, alerted) -> None:
    address, item = f"/fraud/decisions/{made().public_id}/", f"/fraud/items/{WorkItem.objects.get().pk}/"
    assert client.post(item + "open/")["Location"] == address
    assert "yours" in page_of(client)
    assert client.post(item + "hold/").status_code == 204
    other = Client()
    other.force_login(colleague)
    assert "Ann Lyst is working on this card" in page_of(other)
    assert "data-confirm" in other.get(address).content.decode()
    other.post(item + "open/")
    assert WorkItem.objects.get().locked_by == analyst
    other.post(item + "open/", {"over": "1"})
    assert WorkItem.objects.get().locked_by == colleague
    assert AuditEvent.objects.filter(action="work.taken_over").exists()
    assert client.post(item + "hold/").status_code == 409
    other.post("/fraud/items/move/", {"items": WorkItem.objects.get().pk, "act": "release"})
    assert WorkItem.objects.get().locked_by is None


def test_the_lock_is_polled_and_answers_only_when_it_changed(client, analyst, colleague, alerted) -> None:
    source = client.get(f"/fraud/decisions/{made().public_id}/").content.decode()
    poll = html.unescape(re.search(r'hx-get="([^"]+/lock/[^"]+)"', source)[1])
    assert client.get(poll).status_code == 204
    take_item(WorkItem.objects.get(), colleague)
    assert "Col League is working on this card" in client.get(poll).content.decode()


def test_other_open_alerts_of_the_card_are_listed(client, analyst, alerted, post) -> None:
    post(event("e10", amount_minor=LARGE + 100))
    post(event("o1", amount_minor=LARGE + 200, card_token="another"))
    drain_all()
    gather_alerts()
    siblings = page_of(client).split("other open alerts")[1].split("Who looked")[0]
    assert "6,001.00 EUR" in siblings and "6,002.00 EUR" not in siblings
    assert Alert.objects.count() == 3


def test_what_was_taken_back_is_said(client, analyst, alerted, post) -> None:
    post(event("back", type="refund", amount_minor=LARGE, original_event_id="e9"))
    drain_all()
    assert "Has it left? Came back" in page_of(client)


def test_a_payment_that_raised_no_alert_has_a_page_too(client, analyst, alerted) -> None:
    assert "there is nothing to settle" in page_of(client, "e1")
    assert "Work on it" not in page_of(client, "e1")


def test_charts_answer_with_numbers(client, analyst, alerted) -> None:
    address = f"/fraud/decisions/{made().public_id}/charts/"
    amounts = client.get(address + "amounts.json").json()
    assert {series["name"] for series in amounts["series"]} >= {"this payment"}
    assert len(amounts["table"]["rows"]) == 7
    places = client.get(address + "places.json").json()
    assert "impossible speed" in [series["name"] for series in places["series"]]
    assert client.get(address + "other.json").status_code == 404


def test_another_sites_payment_has_no_door(client, make_user, alerted) -> None:
    south = Site.objects.create(slug="south", name="South")
    client.force_login(User.objects.create_user("s@example.org", site=south, role="fraud_analyst"))
    address = f"/fraud/decisions/{made().public_id}/"
    for part in ("", "charts/amounts.json", "linked/card/", "lock/"):
        assert client.get(address + part).status_code == 404


def test_with_the_version_gone_what_is_kept_is_shown(client, analyst, alerted, champion, trained) -> None:
    from apps.fraud.decide.services import reasons
    from apps.fraud.serving import inference
    from apps.modelops.common import places

    reasons._predictor.cache_clear()
    inference._loaded = None
    places.artefact_folder(champion.artefact_hash).unlink()
    try:
        assert "What the model says" in page_of(client)
    finally:
        come_back(champion, trained)
