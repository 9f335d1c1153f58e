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
    """A file stays in one worker, or each would train and fill anew what its tests share; and whatever uses
    the running product shares one. What ends and starts it again has another.

    Not by xdist's own groups: it writes them into a test's id, and pytest 9.2 keeps that elsewhere.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "the running product" if _shares_the_product(file) else file


def _shares_the_product(file: str) -> bool:
    return file.startswith(("tests/e2e/", "tests/integration/")) and not file.endswith("_lifecycle.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # ours is below
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, or all would wait for it at the end."""

    def rank(item: pytest.Item) -> int:
        file = item.nodeid.split("::")[0]
        longest = (file.endswith("_lifecycle.py"), _shares_the_product(file), file.startswith("tests/ml/"))
        return longest.index(True) if True in longest else len(longest)

    items.sort(key=rank)
