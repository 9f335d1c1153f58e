"""Who is asking: a person in a session, or a program with a bearer token. Both belong to a site."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from apps.accounts.models import ApiClient, Role, Site, User
from apps.accounts.services import client_for_token
from apps.core.errors import LynceusError
from apps.core.recent import recently

BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Exactly one of `user` and `client` is set."""

    site: Site
    user: User | None = None
    client: ApiClient | None = None


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def csrf_fails(request: HttpRequest) -> bool:
    check = _CsrfCheck(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda _: HttpResponse(), (), {}) is not None


def caller_of(request: HttpRequest, *, scope: str, roles: tuple[str, ...]) -> Caller:
    """The caller, or LynceusError 401/403. A session that writes must carry its CSRF token."""
    if request.headers.get("Authorization", "").startswith(BEARER):
        return client_of(request.headers, scope=scope)
    user = request.user
    if not isinstance(user, User):
        raise _unauthenticated()
    if user.role not in roles:
        raise LynceusError("forbidden", "Your role may not do this.", status=403)
    if csrf_fails(request):
        raise LynceusError("csrf_failed", "The CSRF token is missing or wrong: reload the page.", status=403)
    return Caller(site=user.site, user=user)


def client_of(headers: Mapping[str, str], *, scope: str) -> Caller:
    """The program that sends this bearer token, or LynceusError 401/403."""
    header = headers.get("Authorization", "")
    if not header.startswith(BEARER):
        raise _unauthenticated()
    client = _client(header.removeprefix(BEARER).strip())
    if client is None:
        raise LynceusError("invalid_token", "The bearer token is unknown or has expired.", status=401)
    if scope not in client.scopes:
        raise LynceusError("forbidden", f"This client has no scope {scope!r}.", status=403)
    return Caller(site=client.site, client=client)


_client = recently(client_for_token)


def _unauthenticated() -> LynceusError:
    return LynceusError("unauthenticated", "Sign in or send a bearer token.", status=401)


def may_enter_admin(request: HttpRequest) -> bool:
    """Operators keep accounts and senders there, ML administrators find datasets, jobs and versions."""
    user = request.user
    return isinstance(user, User) and user.is_active and (user.is_staff or user.role == Role.ML_ADMIN)


def user_of(request: HttpRequest) -> User:
    """The person a page is for, once `role_required` let them in."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def role_required(*roles: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A page for these roles only; others get 403, strangers the login page."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not isinstance(request.user, User):
                return redirect_to_login(request.get_full_path())
            if request.user.role not in roles:
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.roles = roles  # type: ignore[attr-defined]
        return guarded

    return decorate
