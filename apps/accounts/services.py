"""Make and rotate the secrets of service accounts."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.accounts.models import ApiClient, ApiSecret, Site
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
