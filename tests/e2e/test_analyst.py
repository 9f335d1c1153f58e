"""A fraud analyst watches decisions arrive, in a real browser on the running product."""

from __future__ import annotations

import uuid

from playwright.sync_api import expect

from tests.e2e.conftest import Open
from tests.integration.running import Running
from tests.integration.test_transactions import event

PATIENCE_MS = 30_000


def test_it_works(demo: Running, open_as: Open) -> None:
    """A signed event becomes a row with its score and reasons, without a reload."""
    merchant = f"merchant-{uuid.uuid4().hex[:8]}"
    with open_as("analyst") as page:
        page.goto("/fraud/?show=recent")
        page.wait_for_selector("#rows tr")
        page.evaluate("window.stillTheSamePage = true")
        assert demo.send_events(event(merchant_id=merchant, amount_minor=98765)).status_code == 202
        row = page.locator("#rows tr").filter(has_text="987.65")
        expect(row.first).to_be_visible(timeout=PATIENCE_MS)
        assert page.evaluate("window.stillTheSamePage")
        row.first.get_by_role("link").first.click()
        expect(page.locator("main")).to_contain_text(merchant)
        expect(page.locator(".probability")).to_be_visible()
        expect(page.locator(".reasons tbody tr")).not_to_have_count(0)
