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


def test_a_locked_colleague_locks_nobody_else(client: Client, make_user) -> None:
    locked, colleague = make_user("operator"), make_user("radiologist")
    for _ in range(5):
        sign_in(client, locked.email.upper(), "wrong")
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == [locked.email]
    sign_in(client, colleague.email)
    assert client.session["_auth_user_id"] == str(colleague.pk)


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


POLLS = {
    "/radiology/rows/": {"hx-request": "true"},
    "/radiology/": {"x-lynceus-poll": "1", "hx-request": "true"},
    "/status/": {"x-lynceus-poll": "1", "accept": "application/json"},
}


def minutes_later(client: Client, minutes: int) -> None:
    session = client.session
    session[SEEN] -= 60 * minutes
    session.save()


def keeps_alive(client: Client, path: str, headers: dict[str, str]) -> bool:
    client.get("/status/")
    minutes_later(client, 1)
    before = client.session[SEEN]
    client.get(path, headers=headers)
    return client.session[SEEN] > before


@pytest.mark.parametrize("path", POLLS)
def test_a_polling_page_does_not_keep_a_session_alive(client: Client, make_user, path: str) -> None:
    client.force_login(make_user("radiologist"))
    assert not keeps_alive(client, path, POLLS[path])
    assert keeps_alive(client, path, {})


@pytest.mark.parametrize("path", POLLS)
def test_nor_does_it_once_the_time_is_up(client: Client, make_user, path: str, settings) -> None:
    client.force_login(make_user("radiologist"))
    client.get("/status/")
    for _ in range(settings.IDLE_LOGOUT_S // 60 + 1):
        minutes_later(client, 1)
        answer = client.get(path, headers=POLLS[path])
        if "_auth_user_id" not in client.session:
            break
    assert "_auth_user_id" not in client.session
    assert answer.headers["Location"].startswith(LOGIN)


def test_a_write_is_a_person_at_work_whatever_it_claims(client: Client, make_user) -> None:
    client.force_login(make_user("radiologist"))
    client.get("/status/")
    minutes_later(client, 1)
    before = client.session[SEEN]
    client.post("/radiology/upload/", headers={"x-lynceus-poll": "1"})
    assert client.session[SEEN] > before


def test_pages_that_are_shut(client: Client, db: None) -> None:
    for path in ("signup", "email", "password/reset", "password/set", "confirm-email", "login/code/confirm"):
        assert client.get(f"/accounts/{path}/").status_code == 404
    page = client.get(LOGIN).content.decode()
    assert "Forgot" not in page
    assert "Remember" not in page


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
