from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.integration.running import Running

Open = Callable[..., Any]


@pytest.fixture
def open_as(browser: Browser, demo: Running) -> Open:
    """`with open_as("analyst", width=390) as page`: signed in. An error in the page's console fails."""

    @contextmanager
    def opened(name: str, *, width: int = 1440, height: int = 900, scheme: str = "dark") -> Iterator[Page]:
        context = browser.new_context(
            base_url=demo.facts["base_url"],
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        account = demo.facts["accounts"][name]
        page.goto("/accounts/login/")
        page.get_by_label("Email").fill(account["email"])
        page.get_by_label("Password", exact=True).fill(account["password"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)
        yield page
        assert said == []
        context.close()

    return opened
