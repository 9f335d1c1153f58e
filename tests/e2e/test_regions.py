"""A box drawn on a film of the running product, found again after a reload, where it was."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, expect

from ml.radiology.synthetic import synthetic_film
from tests.e2e.conftest import Open
from tests.frontend.viewer.conftest import drag
from tests.frontend.viewer.test_regions_drawn import near, pixels
from tests.integration.running import Running

PATIENCE_MS = 60_000


def drawn(page: Page) -> list[dict[str, Any]]:
    """What the page was given."""
    expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".outlines polygon")).to_have_count(1)
    given = page.locator("[data-regions]")
    return json.loads(given.evaluate("field => field.value || field.dataset.regions"))


def test_it_works(demo: Running, open_as: Open) -> None:
    film = synthetic_film(77, 3).content
    with open_as("radiologist") as page:
        page.goto("/radiology/upload/")
        page.set_input_files(
            "input[type=file]", [{"name": "film.dcm", "mimeType": "application/octet-stream", "buffer": film}]
        )
        row = page.locator(".files li").first
        expect(row.locator(".chip")).to_have_text("analysed", timeout=PATIENCE_MS)
        row.get_by_role("link").click()
        expect(page.get_by_role("button", name="Read this study")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("r")
        expect(page.get_by_role("button", name="Commit read")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Draw a box for pleural effusion on the film").click()
        drag(page, 90, 70)
        expect(page.locator("#read-kept time")).to_be_visible()
        page.reload()
        [region] = drawn(page)
        for keys in ("", "++", "]", "h"):
            for key in keys:
                page.keyboard.press(key)
            assert near(pixels(page), region["points"]), keys
        expect(page.get_by_role("radio", name="pleural effusion: present")).to_be_checked()
        page.get_by_role("button", name="Commit read").click()
        page.get_by_role("button", name="Sign").click()
        page.locator("dialog").get_by_role("button", name="Sign").click()
        expect(page.get_by_text("Signed").first).to_be_visible()
        assert drawn(page) == [region]
        expect(page.get_by_role("button", name="Box round the chosen finding")).to_be_hidden()
