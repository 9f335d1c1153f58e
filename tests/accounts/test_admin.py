"""An operator keeps accounts and service accounts of their own site; every change is in the audit."""

from __future__ import annotations

import re
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.test import Client, RequestFactory

from apps.accounts import admin as accounts_admin
from apps.accounts.models import ApiClient, Site, User
from apps.accounts.services import client_for_token, enrol_totp
from apps.audit.models import AuditEvent
from tests.accounts.test_login import sign_in
from tests.conftest import PASSWORD

USERS = "/admin/accounts/user/"
CLIENTS = "/admin/accounts/apiclient/"
NEW = "another long phrase"


@pytest.fixture
def operator(client: Client, make_user) -> Client:
    client.force_login(make_user("operator"))
    return client


def new_user(site: Site, **changes: str) -> dict[str, str]:
    return {
        "email": "New.Reader@example.org", "full_name": "New Reader", "site": str(site.pk),
        "role": "radiologist", "password1": NEW, "password2": NEW, **changes,
    }  # fmt: skip


def audited(action: str) -> list[tuple[str, list[str]]]:
    events = AuditEvent.objects.filter(action=action).order_by("pk")
    return [(event.subject, event.detail["fields"]) for event in events]


def test_an_account_is_made_with_a_password_and_works(operator: Client, site) -> None:
    operator.post(USERS + "add/", new_user(site))
    made = User.objects.get(email="new.reader@example.org")
    assert (made.role, made.site, made.is_staff) == ("radiologist", site, False)
    assert audited("admin.added") == [(f"user:{made.pk}", [])]
    sign_in(fresh := Client(), made.email, NEW)
    assert fresh.get("/radiology/").status_code == 200


@pytest.mark.parametrize("bad", [{"password1": "short", "password2": "short"}, {"role": "emperor"}])
def test_a_bad_account_is_refused(operator: Client, site, bad) -> None:
    assert b"errorlist" in operator.post(USERS + "add/", new_user(site, **bad)).content
    assert not User.objects.filter(email="new.reader@example.org").exists()


def test_a_new_password_ends_the_old_one_and_is_audited(operator: Client, make_user) -> None:
    user = make_user("auditor")
    form = {"usable_password": "true", "password1": NEW, "password2": NEW}
    operator.post(f"{USERS}{user.pk}/password/", form)
    request = RequestFactory().post("/")
    assert authenticate(request, email=user.email, password=PASSWORD) is None
    assert authenticate(request, email=user.email, password=NEW) == user
    assert audited("admin.changed") == [(f"user:{user.pk}", ["password"])]
    assert NEW not in str(list(AuditEvent.objects.values()))


def test_deactivated_is_out_at_once(operator: Client, make_user) -> None:
    user = make_user("auditor")
    inside = Client()
    inside.force_login(user)
    form = {"email": user.email, "full_name": "", "site": user.site_id, "role": "auditor"}
    operator.post(f"{USERS}{user.pk}/change/", form)
    user.refresh_from_db()
    assert not user.is_active
    assert inside.get("/audit/").status_code == 302
    assert audited("admin.changed") == [(f"user:{user.pk}", ["Is active"])]


def test_an_operator_makes_no_superuser_and_touches_none(operator: Client, make_user, site) -> None:
    chief = User.objects.create_superuser("chief@example.org", PASSWORD, site=site)
    assert operator.get(f"{USERS}{chief.pk}/change/").status_code == 302
    assert chief.email not in operator.get(USERS).content.decode()
    operator.post(USERS + "add/", new_user(site, is_superuser="on", is_staff="on"))
    made = User.objects.get(email="new.reader@example.org")
    form = new_user(site, is_active="on", is_superuser="on", is_staff="on")
    operator.post(f"{USERS}{made.pk}/change/", form)
    made.refresh_from_db()
    assert (made.is_active, made.is_superuser, made.is_staff) == (True, False, False)


def test_an_operator_puts_nobody_into_another_site(operator: Client) -> None:
    south = Site.objects.create(slug="south", name="South")
    assert b"Select a valid choice" in operator.post(USERS + "add/", new_user(south)).content
    assert not User.objects.filter(site=south).exists()


def test_a_lock_is_lifted_and_a_lost_device_forgotten(operator: Client, make_user) -> None:
    user = make_user("auditor")
    enrol_totp(user)
    for _ in range(5):
        sign_in(Client(), user.email, "wrong")
    assert b"locked" in sign_in(Client(), user.email).content
    for action in ("lift_locks", "remove_second_factors"):
        operator.post(USERS, {"action": action, "_selected_action": [str(user.pk)]})
    assert not Authenticator.objects.filter(user=user).exists()
    sign_in(fresh := Client(), user.email)
    assert fresh.get("/audit/").status_code == 200
    assert [fields for _, fields in audited("admin.changed")] == [
        ["sign-in lock lifted"],
        ["second factor removed"],
    ]
    removed = AuditEvent.objects.filter(action="user.second_factor_removed", subject=f"user:{user.pk}")
    assert set(removed.values_list("actor", flat=True)) == {f"user:{User.objects.get(role='operator').pk}"}


def unheard(monkeypatch, operator: Client) -> None:
    """The audit refuses: the database is full, say."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("apps.audit.receivers.record", refuse)
    operator.raise_request_exception = False


def fails_to(action: str, operator: Client, user: User, monkeypatch) -> bool:
    """Whether `action` has no effect while its event cannot be written."""
    if action == "rotate":
        api_client = ApiClient.objects.create(site=user.site, name="acquirer", scopes=["fraud"])
        unheard(monkeypatch, operator)
        assert operator.post(f"{CLIENTS}{api_client.pk}/rotate/").status_code == 500
        return not api_client.secrets.exists()
    enrol_totp(user)
    for _ in range(5):
        sign_in(Client(), user.email, "wrong")
    unheard(monkeypatch, operator)
    sent = operator.post(USERS, {"action": action, "_selected_action": [str(user.pk)]})
    assert sent.status_code == 500
    if action == "lift_locks":
        return AccessAttempt.objects.filter(username=user.email).exists()
    return Authenticator.objects.filter(user=user).count() == 2


ACTIONS = ["lift_locks", "remove_second_factors", "rotate"]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_not_audited_does_not_happen(operator: Client, make_user, monkeypatch, action: str) -> None:
    assert fails_to(action, operator, make_user("auditor"), monkeypatch)


@pytest.mark.parametrize("action", ["lift_locks", "rotate"])
def test_without_one_transaction_it_would(operator: Client, make_user, monkeypatch, action: str) -> None:
    monkeypatch.setattr(accounts_admin, "transaction", SimpleNamespace(atomic=nullcontext))
    assert not fails_to(action, operator, make_user("auditor"), monkeypatch)


def make_client(operator: Client, site: Site, **changes: object):
    form = {"site": site.pk, "name": "acquirer", "scopes": ["fraud"], "is_active": "on", **changes}
    return operator.post(CLIENTS + "add/", form)


def test_a_new_client_gets_a_token_that_is_shown_once(operator: Client, site) -> None:
    rotate = make_client(operator, site).headers["Location"]
    api_client = ApiClient.objects.get()
    assert rotate == f"{CLIENTS}{api_client.pk}/rotate/"
    answer = operator.post(rotate)
    [token] = re.findall(r"lyn_[\w-]+", answer.content.decode())
    assert client_for_token(token) == api_client
    assert "no-store" in answer["Cache-Control"]
    for path in (rotate, CLIENTS, f"{CLIENTS}{api_client.pk}/change/"):
        assert token not in operator.get(path).content.decode()
    assert audited("admin.changed") == [(f"apiclient:{api_client.pk}", ["secret"])]
    assert token not in str(list(AuditEvent.objects.values()))


def test_looking_at_the_page_rotates_nothing(operator: Client, site) -> None:
    operator.get(make_client(operator, site).headers["Location"])
    assert not ApiClient.objects.get().secrets.exists()


@pytest.mark.parametrize("scopes", [[], ["everything"], ["fraud", "everything"]])
def test_only_known_scopes(operator: Client, site, scopes) -> None:
    assert b"errorlist" in make_client(operator, site, scopes=scopes).content
    assert not ApiClient.objects.exists()


def test_own_password_and_second_factor_are_audited(client: Client, make_user) -> None:
    user = make_user("auditor")
    sign_in(client, user.email)
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    client.post("/accounts/password/change/", form)
    assert AuditEvent.objects.filter(action="user.password_changed", subject=f"user:{user.pk}").exists()
