"""From the figures of a site to a case that is settled, in a browser."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import Open
from tests.integration.running import Running


def test_figures_first_their_numbers_one_key_away_and_a_case_settled(demo: Running, open_as: Open) -> None:
    with open_as("radiologist2") as page:
        page.goto("/radiology/quality/")
        waited = page.locator("figure", has_text="Turnaround")
        expect(waited.locator("canvas")).to_be_visible()
        page.keyboard.press("t")
        expect(waited.get_by_role("columnheader", name="median")).to_be_visible()
        expect(page.locator("svg.interval").first).to_be_visible()
        page.get_by_role("link", name="Discrepancies").last.click()
        page.locator("tbody tr a").first.click()
        if page.get_by_role("button", name="Open the case").is_visible():
            page.keyboard.press("o")
        page.get_by_label("absent").first.check()
        page.get_by_label("Why they differed").first.select_option("overcalled")
        page.get_by_label("What to learn from it").first.fill("A skin fold ends at the rib.")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Settle").click()
        expect(page.get_by_text("Settled. It stands as reference from now on.")).to_be_visible()
        expect(page.get_by_text("A skin fold ends at the rib.")).to_be_visible()
