"""The rail holds what a role may open, and nothing else; home is one of its places."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from apps.accounts.models import Role
from apps.accounts.views import HOMES
from apps.core.context import PLACES


def place(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


@pytest.mark.parametrize("role", Role.values)
def test_every_place_in_the_rail_opens_and_no_other_would(client: Client, make_user, role: str) -> None:
    client.force_login(make_user(role))
    page = client.get("/status/").content.decode()
    rail = page[page.index('<nav class="rail"') :].split("</nav>")[0]
    shown = set(re.findall(r'href="([^"]+)"\s+data-shortcut', rail))
    places = {url for name, *_ in PLACES if (url := place(name))}
    opened = {url for url in places if client.get(url).status_code == 200}
    assert shown == opened - ({"/status/"} - shown)  # the status opens to all, from the mark at the top


@pytest.mark.parametrize("role", Role.values)
def test_each_role_lands_on_its_own_page(client: Client, make_user, role: str) -> None:
    client.force_login(make_user(role))
    wanted = place(HOMES[Role(role)]) or "/status/"
    answer = client.get("/", follow=True)
    assert answer.redirect_chain == [(wanted, 302)]
    assert answer.status_code == 200
