"""Write audit events. Sealing and verifying are in `chain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.models import ApiClient, Site, User
from apps.audit.models import AuditEvent, UnsealedEvent
from apps.core.clock import now

Actor = User | ApiClient | None


def record(
    action: str,
    *,
    site: Site | None,
    actor: Actor,
    subject: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one event to the caller's transaction: it commits with the action or not at all."""
    with transaction.atomic():
        event = AuditEvent.objects.create(
            at=now(),
            site=site,
            actor=name_of(actor),
            action=action,
            subject=subject,
            detail=dict(detail or {}),
        )
        UnsealedEvent.objects.create(event=event)


def name_of(actor: Actor) -> str:
    if actor is None:
        return "system"
    return f"{'user' if isinstance(actor, User) else 'client'}:{actor.pk}"
