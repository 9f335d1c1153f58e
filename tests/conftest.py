from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from apps.accounts.models import Site, User
from tests.browser import launch
from tests.integration.demo_fixture import demo

__all__ = ["demo"]

PASSWORD = "a long pass phrase"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: while playwright runs, Django refuses the database in the same thread."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(slug="north", name="North")


@pytest.fixture
def make_user(site: Site) -> Callable[..., User]:
    def make(role: str, **fields: Any) -> User:
        given = {"email": f"{role}@example.org", "site": site, **fields}
        return User.objects.create_user(password=PASSWORD, role=role, **given)

    return make


@pytest.hookimpl(tryfirst=True)  # xdist looks at the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the running product shares it, in one worker; what takes parts of it away, in another."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "demo" in names:
            item.add_marker(pytest.mark.xdist_group("apart" if "apart" in names else "demo"))
