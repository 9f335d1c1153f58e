"""People at the door: sign-in, lock-out, idle logout, second factor, and no way to sign up."""

from __future__ import annotations

import pytest
from axes.models import AccessAttempt
from django.test import Client

from apps.accounts.middleware import SEEN
from apps.accounts.models import Role
from tests.conftest import PASSWORD

LOGIN = "/accounts/login/"


def sign_in(client: Client, email: str, password: str = PASSWORD):
    return client.post(LOGIN, {"login": email, "password": password})


@pytest.mark.parametrize("role", Role.values)
def test_each_role_signs_in_and_lands_on_a_page_it_may_open(client: Client, make_user, role: str) -> None:
    user = make_user(role)
    assert sign_in(client, user.email).status_code == 302
    landed = client.get("/", follow=True)
    assert landed.status_code == 200
    assert user.email in landed.content.decode()


def test_five_wrong_passwords_lock_the_account_at_both_doors(client: Client, make_user) -> None:
    user = make_user("operator", is_staff=True)
    for _ in range(5):
        last = sign_in(client, user.email, "wrong")
    assert b"locked" in last.content
    assert AccessAttempt.objects.get().failures_since_start == 5
    sign_in(client, user.email)
    assert "_auth_user_id" not in client.session
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith(LOGIN)


def test_four_wrong_passwords_do_not_lock(client: Client, make_user) -> None:
    user = make_user("operator")
    for _ in range(4):
        sign_in(client, user.email, "wrong")
    sign_in(client, user.email)
    assert "_auth_user_id" in client.session


def test_the_admins_own_login_is_the_same_door(client: Client, make_user) -> None:
    assert client.get("/admin/login/").headers["Location"].startswith(LOGIN)


def test_an_idle_session_ends(client: Client, make_user, settings) -> None:
    client.force_login(make_user("operator"))
    client.get("/status/")
    session = client.session
    session[SEEN] -= settings.IDLE_LOGOUT_S + 1
    session.save()
    assert client.get("/status/").status_code == 302


def test_a_polling_page_does_not_keep_a_session_alive(client: Client, make_user) -> None:
    client.force_login(make_user("operator"))
    client.get("/status/")
    session = client.session
    session[SEEN] -= 60
    session.save()
    before = client.session[SEEN]
    client.get("/status/", headers={"hx-request": "true"})
    assert client.session[SEEN] == before
    client.get("/status/")
    assert client.session[SEEN] > before


def test_a_role_that_needs_a_second_factor_sets_it_up_first(client: Client, make_user, settings) -> None:
    settings.LYNCEUS_MFA_ROLES = ["operator"]
    client.force_login(make_user("operator"))
    assert client.get("/status/").headers["Location"] == "/accounts/2fa/totp/activate/"


@pytest.mark.django_db
def test_nobody_signs_up(client: Client) -> None:
    form = {"email": "a@example.org", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    from apps.accounts.models import User

    assert not User.objects.exists()
