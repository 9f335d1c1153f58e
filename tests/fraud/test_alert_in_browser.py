"""The alert in real Chromium: understood and settled by what is on the screen, by keys, in every look."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.core.clock import now
from apps.fraud.models import Decision, Source
from apps.fraud.work.services.gather import gather_alerts
from tests.e2e.test_accessibility import violations
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_labels import say
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at
HOME = {"device_id": "phone-1", "merchant_id": "corner shop", "latitude": 50.8, "longitude": 4.4}
AWAY = {
    "type": "advice",  # never declined: it waits on the desk of losses
    "device_id": "phone-9", "merchant_id": "gadget store", "terminal_id": "t9", "country": "TH",
    "latitude": 13.75, "longitude": 100.5, "channel": "ecom", "entry_mode": "ecommerce",
    "ip": "203.0.113.7", "auth_response": "00", "avs_result": "Y", "cvv_result": "N",
    "three_ds": {"version": "2.2.0", "trans_status": "U", "eci": "07"},
}  # fmt: skip


def in_alarm(at: datetime, card: str = "card-0001", amount_minor: int = 790_000) -> list[dict[str, Any]]:
    """A card that pays in Belgium, then within an hour for a lot of money from Thailand."""

    def one(number: int, before: timedelta, **changes: Any) -> dict[str, Any]:
        return event(f"{card}-{number}", card_token=card, occurred_at=(at - before).isoformat(), **changes)

    usual = [one(n, timedelta(days=9 - n), amount_minor=2000 + 300 * n, **HOME) for n in range(9)]
    near = [one(9, timedelta(minutes=40), amount_minor=2500, **HOME)]
    return [*usual, *near, one(10, timedelta(minutes=1), amount_minor=amount_minor, **AWAY)]


@pytest.fixture
def scene(champion, source, post) -> Decision:
    """The alert; another card's beside it; at its terminal a known fraud."""
    Source.objects.update(review_means="hold")
    before = (now() - timedelta(days=3)).isoformat()
    post(event("known", card_token="card-0007", terminal_id="t9", device_id="phone-9", occurred_at=before))
    drain_all()
    say(source, "known")
    post(in_alarm(now()))
    post(in_alarm(now(), "card-0002", 520_000))
    drain_all()
    gather_alerts()
    return Decision.objects.get(transaction__event_id="card-0001-10")


@pytest.fixture
def session(live_server) -> Callable[[User], dict[str, Any]]:
    def of(user: User) -> dict[str, Any]:
        client = Client()
        client.force_login(user)
        return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}

    return of


def looked_at(page: Page, name: str, width: int, scheme: str) -> list[str]:
    """What axe finds, once the page is whole; a picture of it where they are asked for."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert page.locator("h1").count() == 1
    if SHOTS:
        page.wait_for_timeout(300)
        page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
    return violations(page, f"{name} {width} {scheme}")


def test_it_works(scene, session, live_server, author) -> None:
    """All looks; then with the keyboard the numbers behind the charts, and what is linked."""
    cookie, address = session(author), f"{live_server.url}/fraud/decisions/{scene.public_id}/"
    found: list[str] = []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([cookie])
            page.goto(address)
            expect(page.locator(".plot canvas")).to_have_count(2)
            found += looked_at(page, "alert", width, scheme)
            page.keyboard.press("t")
            expect(page.locator(".chart table").first).to_contain_text("7,900.00 EUR")
            expect(page.locator(".chart table").last).to_contain_text("km/h: impossible")
            found += looked_at(page, "alert-tables", width, scheme)
            page.keyboard.press("t")
            expect(page.locator(".plot canvas").first).to_be_visible()
            page.keyboard.press("j")
            page.keyboard.press("Enter")
            expect(page.locator("h1")).to_contain_text("Linked by card")
            found += looked_at(page, "linked", width, scheme)
            page.keyboard.press("b")
            expect(page.locator(".story")).to_be_visible()
    assert found == []


def test_who_never_saw_it_takes_understands_and_settles_the_first_alert(
    scene, session, live_server, author
) -> None:
    """By nothing but the words on the screen, each step as the page names it."""
    cookie = session(author)
    with opened(1440, "dark") as page:
        page.context.add_cookies([cookie])
        page.goto(f"{live_server.url}/fraud/")
        page.get_by_role("button", name="Take the next").click()
        told = page.locator(".story")
        expect(page.get_by_role("heading", name="What happened")).to_be_visible()
        for clause in ("this card's usual", "from a new device", "nobody travels", "had fraud last week"):
            expect(told).to_contain_text(clause)
        expect(page.locator("#lock")).to_contain_text("yours")
        expect(page.get_by_text("Has it left?")).to_be_in_viewport()
        settle = page.locator("#settle")
        settle.get_by_label("fraud").first.check()
        settle.get_by_label("Type of fraud").select_option(label="Card not present")
        settle.locator(".of-fraud").get_by_label("What it rests on").select_option(index=1)
        settle.get_by_role("button", name="Settle and next").click()
        expect(page.get_by_text("Settled. It can be undone")).to_be_visible()
        expect(page.locator("h1")).to_contain_text("5,200.00 EUR")
        expect(page.locator("#lock")).to_contain_text("yours")
        page.goto(f"{live_server.url}/fraud/decisions/{scene.public_id}/")
        expect(page.locator("#settle")).to_contain_text("What was said")
        expect(page.locator("main")).to_contain_text("Who looked before")
        expect(page.locator("#lock")).to_have_count(0)


def test_two_analysts_do_not_work_on_one_card_unasked(scene, session, live_server, author, second) -> None:
    mine, theirs = session(author), session(second)
    address = f"{live_server.url}/fraud/decisions/{scene.public_id}/"
    with opened(1440, "light") as page:
        assert page.context.browser is not None
        context = page.context.browser.new_context(viewport={"width": 1440, "height": 900})
        other = context.new_page()
        page.context.add_cookies([mine])
        context.add_cookies([theirs])
        page.goto(address)
        other.goto(address)
        page.keyboard.press("w")
        expect(page.locator("#lock")).to_contain_text("yours")
        # Without a reload: the page hears of it.
        expect(other.locator("#lock")).to_contain_text("is working on this card", timeout=15_000)
        other.get_by_role("button", name="Take over").click()
        dialog = other.locator("dialog")
        expect(dialog).to_contain_text("Take this card over?")
        dialog.get_by_role("button", name="Keep as it is").click()
        expect(page.locator("#lock")).to_contain_text("yours")
        other.get_by_role("button", name="Take over").click()
        dialog.get_by_role("button", name="Take over").click()
        expect(other.locator("#lock")).to_contain_text("yours")
        expect(page.locator("#lock")).to_contain_text("is working on this card", timeout=15_000)
