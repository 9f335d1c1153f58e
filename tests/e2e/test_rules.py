"""An analyst writes a rule, asks it of history, and moves a threshold, in a real browser on the product."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open
from tests.e2e.test_accessibility import violations
from tests.integration.running import Running
from tests.integration.test_transactions import event

PATIENCE_MS = 60_000


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_it_works(demo: Running, open_as: Open, width: int, scheme: str) -> None:
    assert demo.send_events(event(amount_minor=4321)).status_code == 202
    found: list[str] = []
    with open_as("analyst", width=width, scheme=scheme) as page:
        page.goto("/fraud/rules/new/")
        box = page.locator("#id_form-0-when")
        box.fill("")
        box.press_sequentially("origina")
        found += violations(page, "completion")
        box.press("Enter")
        box.press_sequentially(" >= 1")
        expect(page.locator(".note.condition").first).to_have_text("This can be asked.")
        page.get_by_role("button", name="Backtest").click()
        expect(page.locator("#figures")).not_to_contain_text("of the way", timeout=PATIENCE_MS)
        expect(page.locator("#figures")).to_contain_text("Rule by rule")
        found += violations(page, "backtest")
        page.get_by_role("link", name="Edit these rules").click()
        expect(page.locator("#id_form-0-when")).to_have_value("original_amount_minor >= 1")
        page.goto("/fraud/thresholds/")
        line = page.get_by_role("slider", name="review threshold").first
        for key, says in (("Home", "This tightens"), ("End", "")):
            line.press(key)
            expect(page.locator("#id_method")).to_have_value("by_hand")
            expect(page.locator("#consequence")).to_contain_text(says)
        found += violations(page, "thresholds")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto("/fraud/rules/backtests/")
        found += violations(page, "backtests")
    assert found == []
