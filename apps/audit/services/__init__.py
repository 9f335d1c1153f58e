"""Write audit events. Sealing and verifying are in `chain`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.models import ApiClient, Site, User
from apps.audit.models import AuditEvent, UnsealedEvent
from apps.core.clock import now
from apps.core.sql import ON_POSTGRES, run

Actor = User | ApiClient | None
# One statement, for every decision waits for it.
_BOTH = """
WITH event AS (
    INSERT INTO audit_auditevent (at, site_id, actor, action, subject, detail)
    VALUES (%s, %s, %s, %s, %s, %s::jsonb) RETURNING id
)
INSERT INTO audit_unsealedevent (event_id) SELECT id FROM event
"""


def record(
    action: str,
    *,
    site: Site | None,
    actor: Actor,
    subject: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one event to the caller's transaction: it commits with the action or not at all."""
    event = AuditEvent(
        at=now(), site=site, actor=name_of(actor), action=action, subject=subject, detail=dict(detail or {})
    )
    if ON_POSTGRES:
        run(_BOTH, [event.at, event.site_id, event.actor, action, subject, json.dumps(event.detail)])
        return
    with transaction.atomic():
        event.save()
        UnsealedEvent.objects.create(event=event)


def name_of(actor: Actor) -> str:
    if actor is None:
        return "system"
    return f"{'user' if isinstance(actor, User) else 'client'}:{actor.pk}"
