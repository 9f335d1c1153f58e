"""Idle sessions end, and roles that need a second factor set it up before anything else."""

from __future__ import annotations

import time
from collections.abc import Callable

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from apps.accounts.models import User

GetResponse = Callable[[HttpRequest], HttpResponse]
SEEN = "seen_at"


def idle_logout(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            seen = request.session.get(SEEN)
            if seen is not None and time.time() - seen > settings.IDLE_LOGOUT_S:
                logout(request)
            elif not _is_poll(request) and (seen is None or time.time() - seen > 15):
                # A page that polls by itself is not a person at work.
                request.session[SEEN] = time.time()
        return get_response(request)

    return middleware


def _is_poll(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true" and request.method == "GET"


def require_mfa(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        if (
            isinstance(user, User)
            and user.role in settings.LYNCEUS_MFA_ROLES
            and not request.path.startswith(("/accounts/", "/static/"))
            and not is_mfa_enabled(user)
        ):
            return redirect(reverse("mfa_activate_totp"))
        return get_response(request)

    return middleware
