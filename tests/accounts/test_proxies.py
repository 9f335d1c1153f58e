"""Wrong passwords are counted where they come from: not at the proxy, and not where a header claims."""

from __future__ import annotations

import pytest
from axes.models import AccessAttempt
from django.test import Client

from apps.accounts.models import User
from tests.accounts.test_login import LOGIN
from tests.conftest import PASSWORD

PROXY = "10.0.0.1"


def try_in(user: User, password: str, forwarded: str) -> bool:
    """Through the proxy, with this X-Forwarded-For: whether the person is in."""
    client = Client(REMOTE_ADDR=PROXY, headers={"x-forwarded-for": forwarded})
    client.post(LOGIN, {"login": user.email, "password": password})
    return "_auth_user_id" in client.session


def guess(user: User, *forwarded: str) -> None:
    for seen in forwarded:
        try_in(user, "wrong", seen)


def test_a_stranger_locks_nobody_out_behind_a_proxy(make_user, settings) -> None:
    settings.LYNCEUS_TRUSTED_PROXIES = 1
    user = make_user("operator")
    guess(user, *["203.0.113.9"] * 5)
    assert not try_in(user, PASSWORD, "203.0.113.9")
    assert try_in(user, PASSWORD, "198.51.100.7")


def test_without_the_setting_a_stranger_would(make_user) -> None:
    user = make_user("operator")
    guess(user, *["203.0.113.9"] * 5)
    assert not try_in(user, PASSWORD, "198.51.100.7")


def test_without_a_proxy_a_forged_header_opens_no_new_count(make_user) -> None:
    user = make_user("operator")
    guess(user, *[f"198.51.100.{n}" for n in range(5)])
    assert AccessAttempt.objects.get().ip_address == PROXY
    assert not try_in(user, PASSWORD, "198.51.100.99")


@pytest.mark.parametrize(
    ("proxies", "header"),
    [(1, "198.51.100.{n}, 203.0.113.9"), (2, "198.51.100.{n}, 203.0.113.9, 10.0.0.2")],
)
def test_what_the_caller_wrote_before_our_proxies_did_counts_for_nothing(
    make_user, settings, proxies: int, header: str
) -> None:
    settings.LYNCEUS_TRUSTED_PROXIES = proxies
    user = make_user("operator")
    guess(user, *[header.format(n=n) for n in range(5)])
    assert AccessAttempt.objects.get().ip_address == "203.0.113.9"
    assert not try_in(user, PASSWORD, header.format(n=99))


@pytest.mark.parametrize("header", ["", "unknown", "203.0.113.9:4711"])
def test_a_header_that_is_no_address_leaves_the_peers(make_user, settings, header: str) -> None:
    settings.LYNCEUS_TRUSTED_PROXIES = 1
    guess(make_user("operator"), header)
    assert AccessAttempt.objects.get().ip_address == PROXY
