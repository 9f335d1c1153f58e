from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from xdist.scheduler import LoadScopeScheduling

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


class Sharing(LoadScopeScheduling):
    """Whatever uses the running product shares one, in one worker; what takes parts of it away has another.

    Not by xdist's own groups: it writes them into a test's id, and pytest 9.2 keeps that elsewhere.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        shares = file.startswith(("tests/e2e/", "tests/integration/")) and not file.endswith("_lifecycle.py")
        return file.rsplit("/", 1)[0] if shares else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Sharing(config, log)
