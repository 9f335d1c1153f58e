"""From a point of the overview to the events behind it, in a browser."""

from __future__ import annotations

import uuid

from playwright.sync_api import expect

from tests.e2e.conftest import Open
from tests.integration.running import Running, eventually
from tests.integration.test_transactions import event


def test_a_decline_is_counted_and_a_point_leads_to_it(demo: Running, open_as: Open) -> None:
    merchant = f"merchant-{uuid.uuid4().hex[:8]}"
    sent = event(merchant_id=merchant, card_token=uuid.uuid4().hex, amount_minor=3_000_000)
    assert demo.send_events(sent).status_code == 202
    with open_as("analyst") as page:

        def counted() -> bool:
            page.goto("/fraud/watch/?days=1")
            declined = page.locator('tbody td[data-label="Declined"] a')
            return any(int(text.replace(",", "")) for text in declined.all_inner_texts())

        eventually(counted, of="the overview")
        expect(page.locator("figure canvas").first).to_be_visible()
        expect(page.locator("#now")).to_contain_text("over the last minute")
        page.keyboard.press("t")
        chart = page.locator("figure", has_text="Reviewed, declined, degraded")
        chart.locator("tbody tr").last.get_by_role("link").last.click()
        expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible()
        page.get_by_label("Outcome").select_option("decline")
        page.wait_for_url("**outcome=decline**")
        page.get_by_label("Decided by").select_option("")
        expect(page.locator("tbody tr", has_text=merchant)).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert merchant in download.value.path().read_text()
