"""Every place of the rail, for each role, wide and narrow, dark and light: whole, silent, not too wide."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Open
from tests.integration.running import Running

ROLES = ("radiologist", "analyst", "mladmin", "auditor", "operator")


@pytest.mark.parametrize("width", [390, 1440, 2560])
@pytest.mark.parametrize("role", ROLES)
def test_each_place_fits(demo: Running, open_as: Open, role: str, width: int) -> None:
    with open_as(role, width=width, scheme="light" if width == 1440 else "dark") as page:
        places = page.locator(".rail a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        assert len(places) > 1
        for place in places:
            answer = page.goto(place)
            assert answer is not None and answer.ok
            assert page.evaluate("document.documentElement.scrollWidth") <= width, place
            assert page.locator("h1").count() == 1, place
