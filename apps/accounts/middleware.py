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
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.selectors import needs_second_factor
from apps.core.errors import LynceusError, problem_response, wants_json

GetResponse = Callable[[HttpRequest], HttpResponse]
SEEN = "seen_at"


def idle_logout(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            seen = request.session.get(SEEN)
            if seen is not None and time.time() - seen > settings.IDLE_LOGOUT_S:
                logout(request)
            elif not is_poll(request) and (seen is None or time.time() - seen > 15):
                # A page that polls by itself is not a person at work.
                request.session[SEEN] = time.time()
        return get_response(request)

    return middleware


def is_poll(request: HttpRequest) -> bool:
    """Our scripts say when it is the page that asks; an htmx GET is taken for that even unsaid."""
    if request.method != "GET":
        return False
    return "X-Lynceus-Poll" in request.headers or request.headers.get("HX-Request") == "true"


def no_store(get_response: GetResponse) -> GetResponse:
    """What a person or a program got by who they are stays in no cache, of a shared machine or on the way."""

    def middleware(request: HttpRequest) -> HttpResponse:
        known = request.user.is_authenticated or "Authorization" in request.headers
        response = get_response(request)
        if known or request.user.is_authenticated:
            response.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def site_time(get_response: GetResponse) -> GetResponse:
    """Pages show times in the zone of the reader's site; the database keeps UTC."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        zone = user.site.time_zone if isinstance(user, User) else ""
        with timezone.override(zone or None):
            return get_response(request)

    return middleware


def require_mfa(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        if (
            isinstance(user, User)
            and needs_second_factor(user)
            and not request.path.startswith(("/accounts/", "/static/"))
            and not is_mfa_enabled(user)
        ):
            if wants_json(request.path, request.headers.get("Accept", "")):
                message = "Your role needs a second factor: set it up first."
                return problem_response(LynceusError("second_factor_needed", message, status=403))
            return redirect(reverse("mfa_activate_totp"))
        return get_response(request)

    return middleware
