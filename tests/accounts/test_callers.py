"""Programs carry a bearer token with scopes; sessions that write carry a CSRF token."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.middleware.csrf import get_token
from django.test import RequestFactory

from apps.accounts.auth import caller_of
from apps.accounts.models import ApiClient, ApiSecret
from apps.accounts.services import client_for_token, rotate_secret
from apps.core.clock import now
from apps.core.errors import LynceusError


@pytest.fixture
def api_client(site) -> ApiClient:
    return ApiClient.objects.create(site=site, name="acquirer", scopes=["fraud"])


def ask(scope: str = "fraud", *, token: str = "", user=None, method: str = "post", csrf: bool = False):
    request = getattr(RequestFactory(), method)("/api/v1/x")
    request.user = user or AnonymousUser()
    if token:
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    if csrf:
        value = get_token(request)
        request.COOKIES["csrftoken"] = request.META["CSRF_COOKIE"]
        request.META["HTTP_X_CSRFTOKEN"] = value
    return caller_of(request, scope=scope, roles=("fraud_analyst",))


def code_of(**how) -> str:
    with pytest.raises(LynceusError) as caught:
        ask(**how)
    return caught.value.code


def test_a_token_opens_its_own_scope_only(api_client: ApiClient) -> None:
    token = rotate_secret(api_client)
    assert ask(token=token).client == api_client
    assert code_of(token=token, scope="radiology") == "forbidden"
    assert code_of(token="lyn_unknown") == "invalid_token"
    assert code_of() == "unauthenticated"


def test_only_a_hash_is_kept(api_client: ApiClient) -> None:
    token = rotate_secret(api_client)
    assert token not in str(list(ApiSecret.objects.values()))


def test_two_secrets_overlap_then_the_old_one_ends(api_client: ApiClient) -> None:
    old = rotate_secret(api_client)
    new = rotate_secret(api_client, overlap=timedelta(hours=1))
    assert client_for_token(old) == client_for_token(new) == api_client
    api_client.secrets.filter(expires_at__isnull=False).update(expires_at=now() - timedelta(seconds=1))
    assert client_for_token(old) is None
    assert client_for_token(new) == api_client


def test_a_disabled_client_is_unknown(api_client: ApiClient) -> None:
    token = rotate_secret(api_client)
    ApiClient.objects.update(is_active=False)
    assert client_for_token(token) is None


def test_a_session_that_writes_needs_its_csrf_token(make_user) -> None:
    analyst = make_user("fraud_analyst")
    assert code_of(user=analyst) == "csrf_failed"
    assert ask(user=analyst, csrf=True).user == analyst
    assert ask(user=analyst, method="get").site == analyst.site
    assert code_of(user=make_user("radiologist"), csrf=True) == "forbidden"
