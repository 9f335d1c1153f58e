"""Each role lands on its own page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse

from apps.accounts.models import Role

HOMES = {
    Role.RADIOLOGIST: "radiology:worklist",
    Role.FRAUD_ANALYST: "fraud:queue",
    Role.ML_ADMIN: "modelops:index",
    Role.AUDITOR: "audit:log",
    Role.OPERATOR: "status",
}


@login_required
def home(request: HttpRequest) -> HttpResponse:
    try:
        return redirect(reverse(HOMES[Role(request.user.role)]))  # type: ignore[union-attr]
    except NoReverseMatch:
        return redirect("status")
