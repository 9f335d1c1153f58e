"""The one receiver file: sign-ins are announced by Django's signals and by nothing else."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import signals
from django.http import HttpRequest

from apps.accounts.models import User
from apps.audit.services import record


def signed_in(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    record("user.signed_in", site=user.site, actor=user)


def signed_out(sender: Any, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        record("user.signed_out", site=user.site, actor=user)


def sign_in_failed(sender: Any, credentials: dict[str, Any], **_: Any) -> None:
    """Who was meant is known only if such an account exists; what was typed is never kept."""
    given = str(credentials.get("email") or credentials.get("username") or "").lower()
    user = User.objects.select_related("site").filter(email=given).first()
    subject = f"user:{user.pk}" if user else ""
    record("user.sign_in_failed", site=user.site if user else None, actor=None, subject=subject)


def connect() -> None:
    signals.user_logged_in.connect(signed_in, dispatch_uid="audit")
    signals.user_logged_out.connect(signed_out, dispatch_uid="audit")
    signals.user_login_failed.connect(sign_in_failed, dispatch_uid="audit")
