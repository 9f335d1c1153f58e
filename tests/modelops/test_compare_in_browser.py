"""Two versions ticked, compared and looked at in real Chromium, in every look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.modelops.tasks import compare_versions
from tests.e2e.test_accessibility import violations
from tests.ml.common.test_comparing import SCORES, WORSE
from tests.modelops.conftest import METRICS
from tests.modelops.test_card import MADE
from tests.modelops.test_compare import kept
from tests.promoting import put_in_service
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at


@pytest.fixture
def pair(make_version, site):
    first, second = (make_version(METRICS, files=kept(each), **MADE) for each in (SCORES, WORSE))
    put_in_service(first)
    compare_versions(first.pk, second.pk)
    return first, second


@pytest.fixture
def cookie(make_user, live_server) -> dict[str, str]:
    client = Client()
    client.force_login(make_user("ml_admin"))
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


def looked_at(page: Page, name: str, width: int, scheme: str) -> list[str]:
    expect(page.locator(".plot canvas")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert page.locator("h1").count() == 1
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
    return violations(page, f"{name} {width} {scheme}")


def test_it_works(pair, cookie, live_server) -> None:
    found: list[str] = []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([cookie])
            page.goto(live_server.url + reverse("modelops:index"))
            for one in pair:
                page.get_by_label(f"Compare version {one.number}").check()
            page.get_by_role("button", name="Compare those ticked").click()
            expect(page.locator("h1")).to_contain_text("versions compared")
            picture = page.locator(".film.still img").first
            picture.scroll_into_view_if_needed()
            expect(picture).to_have_js_property("naturalWidth", 100)
            found += looked_at(page, "compared", width, scheme)
            page.get_by_role("link", name="Version 2").first.click()
            expect(page.locator("h1")).to_contain_text("version 2")
            found += looked_at(page, "card", width, scheme)
    assert found == []
