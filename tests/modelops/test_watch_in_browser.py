"""An administrator sees an alarm, looks at what is behind it, acknowledges it and moves the limit: in real
Chromium, in every look."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from apps.core.clock import now
from apps.modelops.common.watched import Fact
from apps.modelops.models import ModelVersion, WatchReading
from tests.e2e.test_accessibility import violations
from tests.modelops.test_watch import drift, look
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at
DAYS = 25


@pytest.fixture
def cookie(make_user, live_server) -> dict[str, str]:
    client = Client()
    client.force_login(make_user("ml_admin", full_name="Ada North"))
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


def remember(site, version: ModelVersion) -> None:
    """Readings of the days before."""
    for day in range(DAYS, 0, -1):
        at = now() - timedelta(days=day)
        moved = 0.08 + 0.008 * (DAYS - day)
        for measure, value, spread, reference in (("drift", moved, 0.03, None), ("auc", 0.85, 0.03, 0.87)):
            WatchReading.objects.create(
                site=site, domain="testing", measure=measure, hour=at, at=at, version=version, n=400,
                value=value, low=value - spread, high=value + spread, reference=reference,
            )  # fmt: skip


def looked_at(page: Page, name: str, width: int, scheme: str) -> list[str]:
    expect(page.locator(".plot canvas")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
    return violations(page, f"{name} {width} {scheme}")


def test_it_works(site, serving, cookie, live_server) -> None:
    remember(site, serving)
    known = Fact("auc", 0.853, 412, 0.82, 0.88, 0.871, "412 studies read")
    look(site, drift(0.312, n=1204, low=0.27, high=0.35, says="1,204 films"), known, Fact("latency", None))
    found: list[str] = []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([cookie])
            page.goto(f"{live_server.url}/models/")
            if width == 1440:
                page.get_by_role("link", name="Watch").click()
            else:
                page.goto(f"{live_server.url}/models/testing/watch/")
            expect(page.locator("#alarms")).to_contain_text("Drift of version 1 is 31.2 %")
            page.locator("summary", has_text="Limits").click()
            found += looked_at(page, "watch", width, scheme)
            if (width, scheme) == LOOKS[-1]:
                settled(page)
                found += violations(page, "receiver")
    assert found == []


def settled(page: Page) -> None:
    """From the bar at the top to the alarm, its limit, and whoever is to be told of the next."""
    page.get_by_role("link", name="1 alarm").click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#alarms")).to_contain_text("acknowledged by Ada North")
    page.locator("summary", has_text="Limits").click()
    page.get_by_label("Drift (%)").fill("40")
    page.get_by_role("button", name="Set limits").click()
    expect(page.locator("table")).to_contain_text("above 40.0 %")
    page.get_by_label("Address").fill("https://hooks.example/lynceus")
    page.get_by_role("button", name="Send alarms there").click()
    expect(page.locator("code")).to_contain_text("whsec_")
