"""Make and rotate the secrets of service accounts."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from apps.accounts.models import ApiClient, ApiSecret
from apps.core.clock import now


def hash_token(token: str) -> str:
    """SHA-256 suffices: the token is 256 random bits, not a password someone chose."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def rotate_secret(client: ApiClient, *, overlap: timedelta = timedelta(hours=24)) -> str:
    """A new bearer token, shown once. Earlier ones stay valid for `overlap`."""
    token = f"lyn_{secrets.token_urlsafe(32)}"
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
    return secret.client if secret else None
