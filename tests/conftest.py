from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import Site, User

PASSWORD = "a long pass phrase"


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(slug="north", name="North")


@pytest.fixture
def make_user(site: Site) -> Callable[..., User]:
    def make(role: str, **fields: Any) -> User:
        return User.objects.create_user(f"{role}@example.org", PASSWORD, site=site, role=role, **fields)

    return make
