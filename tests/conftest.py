from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import Site, User
from tests.integration.demo_fixture import demo

__all__ = ["demo"]

PASSWORD = "a long pass phrase"


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(slug="north", name="North")


@pytest.fixture
def make_user(site: Site) -> Callable[..., User]:
    def make(role: str, **fields: Any) -> User:
        return User.objects.create_user(f"{role}@example.org", PASSWORD, site=site, role=role, **fields)

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the running product shares one: it all runs in one worker."""
    for item in items:
        if "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("demo"))
