"""The queue in real Chromium: by keyboard, live, and whole in every look."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Page, expect, sync_playwright

from apps.accounts.models import User
from apps.fraud.models import Desk, WorkItem
from apps.fraud.work.services.budget import set_capacity, work_out_budgets
from apps.fraud.work.services.moves import escalate_item
from apps.fraud.work.services.work import take_item
from tests.browser import launch
from tests.e2e.test_accessibility import violations
from tests.fraud.queued import fill

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture
def cookie(source, site, make_user, live_server) -> dict[str, Any]:
    """Of an analyst; seven cards wait, a colleague holds one and has escalated another to them."""
    me = make_user("fraud_analyst", full_name="Ana Lyst")
    other = User.objects.create_user("o@example.org", site=site, role="fraud_analyst", full_name="Col League")
    fill(source, cards=7)
    *_, escalated, held = WorkItem.objects.order_by("at_stake_minor")
    take_item(held, other)
    escalate_item(escalated, other, me, "Third card at this shop today.")
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=4, by=me)
    work_out_budgets()
    client = Client()
    client.force_login(me)
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


def aside(work: Callable[[], None]) -> None:
    """In a thread of its own: playwright keeps Django from the database in this one."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_a_day_by_keyboard(cookie, live_server, source) -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 900})
        context.add_cookies([cookie])
        page, wrong = context.new_page(), []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto("/fraud/")
        rows = page.locator("#rows tr:not(.rule)")
        expect(rows).to_have_count(7)
        expect(page.locator("#rows tr.rule")).to_have_text("Today's capacity ends here.")
        put_two_off(page)
        expect(rows).to_have_count(5)
        arrives_live(page, lambda: fill(source, cards=1, first=90))
        take_the_next(page)
        page.goto("/fraud/")
        expect(page.get_by_text("you, until")).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("Enter")  # what lies under the selection is opened, and locked with it
        page.wait_for_url("**/fraud/decisions/**")
        assert wrong == []
        browser.close()


def put_two_off(page: Page) -> None:
    page.keyboard.press("?")
    sheet = page.locator("dialog.sheet")
    for words in ("Lock and open the next card", "Put off until", "Give to", "Tick the row", "Filter"):
        expect(sheet).to_contain_text(words)
    page.keyboard.press("Escape")
    page.locator("tbody tr:last-child").scroll_into_view_if_needed()
    for _ in range(6):
        page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-ticked-count]")).to_have_text("2 ticked")
    page.keyboard.press("s")
    expect(page.locator("[name='until']")).to_be_focused()
    page.locator("[name='until']").select_option("4h")
    page.get_by_role("button", name="Put off").click()
    expect(page.locator(".toast")).to_contain_text("2 cards put off")


def arrives_live(page: Page, come: Callable[[], None]) -> None:
    page.evaluate("window.stillTheSamePage = true")
    aside(come)
    row = page.locator("#rows tr").filter(has_text="…0090")
    waiting = page.get_by_role("button", name="1 new")
    expect(row.or_(waiting).first).to_be_visible(timeout=15_000)
    if waiting.is_visible():
        waiting.click()
    expect(row).to_be_visible()
    assert page.evaluate("window.stillTheSamePage")


def take_the_next(page: Page) -> None:
    """What was given by name first: not the one that a colleague holds."""
    page.locator("h1").click()
    page.keyboard.press("n")
    page.wait_for_url("**/fraud/decisions/**")


def test_it_fits_and_shuts_nobody_out(cookie, live_server) -> None:
    shots, found = os.environ.get("LYNCEUS_SHOTS"), []  # shots: to look at
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for width, scheme in LOOKS:
            context = browser.new_context(
                base_url=live_server.url, viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            context.add_cookies([cookie])
            page = context.new_page()
            for name, path in {"queue": "/fraud/", "capacity": "/fraud/capacity/",
                               "escalated": "/fraud/?state=escalated"}.items():  # fmt: skip
                page.goto(path)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                found += violations(page, f"{path} {width} {scheme}")
                if shots:
                    page.screenshot(path=Path(shots, f"{name}-{width}-{scheme}.png"), full_page=True)
            context.close()
        browser.close()
    assert found == []
