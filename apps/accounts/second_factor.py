"""A code of the second factor, given a moment ago: asked for before what a sign-in must not carry alone."""

from __future__ import annotations

import time

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import suspend_request
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

FRESH_S = 300


def has_fresh_second_factor(request: HttpRequest) -> bool:
    """Whether this session's person gave a code within FRESH_S; a password does not count."""
    given = get_authentication_records(request, request.user)
    codes = [record["at"] for record in given if record.get("method") == "mfa"]
    return bool(codes) and time.time() - codes[-1] < FRESH_S


def ask_for_second_factor(request: HttpRequest) -> HttpResponse | None:
    """None where there is a fresh one. Else the way to give a code, after which the request goes on by
    itself, or, without a second factor, the way to set one up."""
    if has_fresh_second_factor(request):
        return None
    if not is_mfa_enabled(request.user):
        messages.warning(request, "This takes a second factor. Set one up, then come back and do it again.")
        return redirect("mfa_activate_totp")
    answer: HttpResponse = suspend_request(request, reverse("mfa_reauthenticate"))
    return answer
