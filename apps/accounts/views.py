"""Each role lands on its own page; the admin's own sign-in and password pages lead to the product's."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from apps.accounts.auth import may_enter_admin
from apps.accounts.models import Role, User

HOMES = {
    Role.RADIOLOGIST: "radiology:worklist",
    Role.FRAUD_ANALYST: "fraud:queue",
    Role.ML_ADMIN: "modelops:index",
    Role.AUDITOR: "audit:log",
    Role.OPERATOR: "status",
}


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    try:
        return redirect(reverse(HOMES[Role(request.user.role)]))  # type: ignore[union-attr]
    except NoReverseMatch:
        return redirect("status")


def admin_sign_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    """The admin's own form asks for no code, so nobody signs in there, not even as somebody else."""
    if not isinstance(request.user, User):
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
    if not may_enter_admin(request):
        raise PermissionDenied
    return redirect("admin:index")


def admin_password(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    return redirect("account_change_password")
