"""Secrets of service accounts, second factors of people, and locks lifted."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from datetime import timedelta
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.signals import authenticator_removed
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from axes.utils import reset
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest

from apps.accounts.models import ApiClient, ApiSecret, Site, User
from apps.core.clock import now


def hash_token(token: str) -> str:
    """SHA-256 suffices: the token is 256 random bits, not a password someone chose."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def rotate_secret(
    client: ApiClient, *, overlap: timedelta = timedelta(hours=24), token: str | None = None
) -> str:
    """A new bearer token, shown once. Earlier ones stay valid for `overlap`."""
    token = token or f"lyn_{secrets.token_urlsafe(32)}"
    open_ended = Q(expires_at=None) | Q(expires_at__gt=now() + overlap)
    client.secrets.filter(open_ended).update(expires_at=now() + overlap)
    ApiSecret.objects.create(client=client, sha256=hash_token(token))
    return token


def client_for_token(token: str) -> ApiClient | None:
    valid = Q(expires_at=None) | Q(expires_at__gt=now())
    secret = (
        ApiSecret.objects.select_related("client__site")
        .filter(valid, sha256=hash_token(token), client__is_active=True)
        .first()
    )
    return secret.client if secret and site_is_open(secret.client.site) else None


def site_is_open(site: Site) -> bool:
    """Whether this installation serves the site: the demo's log-ins and keys work in the demo alone."""
    return settings.LYNCEUS_DEMO or not site.is_demo


@transaction.atomic
def enrol_totp(user: User) -> str:
    """A new authenticator secret (base32) with recovery codes beside it; an earlier one ends."""
    remove_second_factor(user)
    secret: str = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


def totp_secret(user: User) -> str:
    """The secret of the person's authenticator, empty without one. For the demo, which shows it."""
    kept = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    return get_adapter().decrypt(kept.data["secret"]) if kept else ""


@transaction.atomic
def remove_second_factor(user: User, *, by: User | None = None) -> int:
    """For a person who lost the device: their role asks for a new one at the next sign-in.

    Returns how many authenticators there were. `by` is None on the server itself.
    """
    removed = list(Authenticator.objects.filter(user=user))
    for authenticator in removed:
        authenticator.delete()
        # The audit hears of it as of one that its owner removes.
        authenticator_removed.send(
            sender=Authenticator, request=None, user=user, authenticator=authenticator, by=by
        )
    return len(removed)


def sign_in_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Whom a sign-in attempt meant, in one spelling: axes counts wrong passwords by it."""
    given = credentials or {}
    name = given.get("email") or given.get("login") or request.POST.get("login") or ""
    return str(name).strip().lower()


def client_address(request: HttpRequest) -> str:
    """Where a request comes from: its peer or, behind our own proxies, whom the outermost of them saw.

    Each proxy adds to the right of X-Forwarded-For; what stands further left is the caller's own word.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.LYNCEUS_TRUSTED_PROXIES
    seen = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if not proxies or len(seen) < proxies:
        return peer
    try:
        return str(ipaddress.ip_address(seen[-proxies]))
    except ValueError:
        return peer


def lift_lock(user: User) -> None:
    reset(username=user.email)
