"""A role that needs a second factor sets one up, signs in with it, and cannot guess, replay or shed it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts import forms
from apps.accounts.models import User
from apps.accounts.services import enrol_totp
from apps.audit.models import AuditEvent
from tests.accounts.test_login import sign_in

ACTIVATE = "/accounts/2fa/totp/activate/"
CODE = "/accounts/2fa/authenticate/"


@pytest.fixture
def operator(make_user, settings) -> User:
    settings.LYNCEUS_MFA_ROLES = ["operator"]
    return make_user("operator")


@pytest.fixture
def code_at(monkeypatch) -> Callable[[str, int], str]:
    """`code_at(secret, step)`: the code of a moment, which the server's clock is moved to."""
    start = int(time.time())

    def code(secret: str, step: int = 0) -> str:
        moment = start + 30 * step
        monkeypatch.setattr("allauth.mfa.totp.internal.auth.time.time", lambda: float(moment))
        return format_hotp_value(hotp_value(secret, moment // 30))

    return code


def test_a_role_that_must_enrols_then_signs_in_with_codes(client: Client, operator: User, code_at) -> None:
    sign_in(client, operator.email)
    page = client.get("/status/", follow=True)
    assert page.redirect_chain[-1][0] == ACTIVATE
    secret = re.search(r'value="([A-Z2-7]{32})"', page.content.decode())[1]
    shown = client.post(ACTIVATE, {"code": code_at(secret)}, follow=True)
    codes = re.findall(r"\b\d{8}\b", shown.content.decode())
    assert len(codes) == 10
    assert client.get("/status/").status_code == 200

    client.post("/accounts/logout/")
    assert sign_in(client, operator.email).headers["Location"].startswith(CODE)
    assert client.get("/status/").status_code == 302
    client.post(CODE, {"code": code_at(secret, 2)})
    assert client.get("/status/").status_code == 200

    client.post("/accounts/logout/")
    for opens in (True, False):  # a recovery code, once
        sign_in(client, operator.email)
        client.post(CODE, {"code": codes[0]})
        assert client.get("/status/").status_code == (200 if opens else 302)
        client.post("/accounts/logout/")


def test_the_secret_is_sealed_at_rest(operator: User) -> None:
    secret = enrol_totp(operator)
    assert secret not in str(list(Authenticator.objects.values()))


def test_enrolling_again_ends_the_first_secret(client: Client, operator: User, code_at) -> None:
    first, second = enrol_totp(operator), enrol_totp(operator)
    sign_in(client, operator.email)
    client.post(CODE, {"code": code_at(first)})
    assert "_auth_user_id" not in client.session
    client.post(CODE, {"code": code_at(second)})
    assert "_auth_user_id" in client.session


def replay(client: Client, user: User, code_at) -> bool:
    """Whether a code that was used opens the door a second time, one step later, while it is still valid."""
    secret = enrol_totp(user)
    code = code_at(secret, 1)
    sign_in(client, user.email)
    client.post(CODE, {"code": code})
    assert "_auth_user_id" in client.session
    client.post("/accounts/logout/")
    cache.delete(f"allauth.mfa.totp.used?user={user.pk}&code={code}")  # allauth's own guard has expired
    code_at(secret, 2)
    sign_in(client, user.email)
    client.post(CODE, {"code": code})
    return "_auth_user_id" in client.session


def test_a_code_opens_once(client: Client, operator: User, code_at) -> None:
    assert not replay(client, operator, code_at)


def test_without_our_guard_it_would_open_twice(client, operator: User, code_at, monkeypatch) -> None:
    monkeypatch.delattr(forms._OnceOnly, "clean_code")
    assert replay(client, operator, code_at)


def guess_then_right(client: Client, user: User, code_at) -> bool:
    secret = enrol_totp(user)
    right = code_at(secret)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for number in range(5):
        # From five addresses: what is counted is the person.
        sign_in(client, user.email)
        client.post(CODE, {"code": wrong}, REMOTE_ADDR=f"192.0.2.{number}")
    client.post(CODE, {"code": right}, REMOTE_ADDR="192.0.2.9")
    return "_auth_user_id" in client.session


def test_five_wrong_codes_lock_the_person_out_and_are_recorded(client, operator: User, code_at) -> None:
    assert not guess_then_right(client, operator, code_at)
    failed = AuditEvent.objects.filter(action="user.second_factor_failed")
    assert [event.subject for event in failed] == [f"user:{operator.pk}"] * 5


def test_without_the_limit_the_sixth_would_open(client, operator: User, code_at, settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}
    assert guess_then_right(client, operator, code_at)


def test_a_role_that_needs_it_cannot_switch_it_off(client: Client, operator: User, code_at) -> None:
    secret = enrol_totp(operator)
    sign_in(client, operator.email)
    client.post(CODE, {"code": code_at(secret)})
    client.post("/accounts/2fa/totp/deactivate/", {})
    assert Authenticator.objects.filter(user=operator, type="totp").exists()


def test_the_admin_is_behind_the_same_door(client: Client, operator: User, code_at) -> None:
    sign_in(client, operator.email)
    assert client.get("/admin/").headers["Location"] == ACTIVATE
    secret = enrol_totp(operator)
    client.post("/accounts/logout/")
    sign_in(client, operator.email)
    assert client.get("/admin/").status_code == 302
    client.post(CODE, {"code": code_at(secret)})
    assert client.get("/admin/").status_code == 200


def test_nobody_turns_into_another_at_the_admins_own_form(client: Client, make_user, settings) -> None:
    first, second = make_user("operator"), make_user("auditor")
    User.objects.filter(pk=second.pk).update(is_staff=True)
    client.force_login(first)
    client.post("/admin/login/", {"username": second.email, "password": "a long pass phrase"})
    assert client.session["_auth_user_id"] == str(first.pk)


def test_a_superuser_needs_it_where_any_role_does(client: Client, site, settings) -> None:
    settings.LYNCEUS_MFA_ROLES = ["auditor"]
    client.force_login(User.objects.create_superuser("super@example.org", site=site, role="radiologist"))
    assert client.get("/admin/").headers["Location"] == ACTIVATE
    answer = client.get("/api/v1/studies/1.2.3")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_needed")


def test_one_whose_secret_cannot_be_read_is_removed_by_command(client, operator: User, settings) -> None:
    enrol_totp(operator)
    settings.SECRET_KEY = "another key than the factor was sealed under"
    sign_in(client, operator.email)
    assert client.post(CODE, {"code": "123456"}).status_code == 503
    call_command("remove_second_factor", operator.email.upper())
    sign_in(fresh := Client(), operator.email)
    assert fresh.get("/status/").headers["Location"] == ACTIVATE
    removed = AuditEvent.objects.filter(action="user.second_factor_removed")
    assert {(event.actor, event.subject) for event in removed} == {("system", f"user:{operator.pk}")}


def test_the_command_says_what_it_cannot_do(operator: User) -> None:
    with pytest.raises(CommandError, match="no second factor"):
        call_command("remove_second_factor", operator.email)
    with pytest.raises(CommandError, match="no such account"):
        call_command("remove_second_factor", "nobody@example.org")
