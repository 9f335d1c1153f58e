"""The one receiver file: sign-ins, second factors and the admin's changes are announced by signals alone."""

from __future__ import annotations

import json
from typing import Any

from allauth.account.signals import password_changed
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth import signals
from django.db.models.signals import post_save
from django.http import HttpRequest

from apps.accounts.models import User
from apps.audit.services import Actor, record


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


def second_factor_added(sender: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    _second_factor("user.second_factor_added", user, authenticator, by=user)


def second_factor_removed(sender: Any, user: User, authenticator: Authenticator, **said: Any) -> None:
    """By its owner, or by who is named in `by`."""
    _second_factor("user.second_factor_removed", user, authenticator, by=said.get("by", user))


def second_factor_failed(sender: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    _second_factor("user.second_factor_failed", user, authenticator, by=None)


def _second_factor(action: str, user: User, authenticator: Authenticator, *, by: Actor) -> None:
    detail = {"type": str(authenticator.type)}
    record(action, site=user.site, actor=by, subject=f"user:{user.pk}", detail=detail)


def own_password_changed(sender: Any, user: User, **_: Any) -> None:
    record("user.password_changed", site=user.site, actor=user, subject=f"user:{user.pk}")


ADMIN_ACTIONS = {ADDITION: "admin.added", CHANGE: "admin.changed"}


def admin_acted(sender: Any, instance: LogEntry, created: bool, **_: Any) -> None:
    """The admin logs in the transaction of the change: names of fields, never what they hold."""
    kind = instance.content_type
    if not created or kind is None or not isinstance(instance.user, User):
        return
    subject = f"{kind.model}:{instance.object_id}"
    changed = instance.get_edited_object()
    site = getattr(changed, "site", None) or instance.user.site
    action = ADMIN_ACTIONS.get(instance.action_flag, "admin.deleted")
    record(action, site=site, actor=instance.user, subject=subject, detail={"fields": _fields(instance)})


def _fields(entry: LogEntry) -> list[str]:
    try:
        said = json.loads(entry.change_message)
    except ValueError:
        return []
    return [name for part in said for what in part.values() for name in what.get("fields", [])]


def connect() -> None:
    mfa.authenticator_added.connect(second_factor_added, dispatch_uid="audit")
    mfa.authenticator_removed.connect(second_factor_removed, dispatch_uid="audit")
    mfa.authentication_failed.connect(second_factor_failed, dispatch_uid="audit")
    password_changed.connect(own_password_changed, dispatch_uid="audit")
    post_save.connect(admin_acted, sender=LogEntry, dispatch_uid="audit")
    signals.user_logged_in.connect(signed_in, dispatch_uid="audit")
    signals.user_logged_out.connect(signed_out, dispatch_uid="audit")
    signals.user_login_failed.connect(sign_in_failed, dispatch_uid="audit")
