"""Write audit events. Sealing and verifying are in `chain`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from apps.accounts.models import ApiClient, Site, User
from apps.audit.models import AuditEvent, UnsealedEvent
from apps.core.clock import now

Actor = User | ApiClient | None


@dataclass(frozen=True, slots=True)
class Entry:
    action: str
    subject: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(
    action: str,
    *,
    site: Site | None,
    actor: Actor,
    subject: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one event to the caller's transaction: it commits with the action or not at all."""
    record_many([Entry(action, subject, detail or {})], site=site, actor=actor)


def record_many(entries: Iterable[Entry], *, site: Site | None, actor: Actor) -> None:
    """As `record`, for many rows in two statements."""
    at, who = now(), name_of(actor)
    with transaction.atomic():
        events = AuditEvent.objects.bulk_create(
            AuditEvent(at=at, site=site, actor=who, action=e.action, subject=e.subject, detail=dict(e.detail))
            for e in entries
        )
        UnsealedEvent.objects.bulk_create(UnsealedEvent(event=event) for event in events)


def name_of(actor: Actor) -> str:
    if actor is None:
        return "system"
    return f"{'user' if isinstance(actor, User) else 'client'}:{actor.pk}"
