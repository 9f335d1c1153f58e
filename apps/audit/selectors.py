from __future__ import annotations

from datetime import date, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import Site
from apps.audit.models import AuditEvent, UnsealedEvent
from apps.core.clock import now


def events_of(
    site: Site, *, action: str = "", actor: str = "", subject: str = "", day: date | None = None
) -> QuerySet[AuditEvent]:
    """A site's events, newest first, each with `waiting`: not yet sealed."""
    events = AuditEvent.objects.filter(site=site)
    for field, value in (("action", action), ("actor", actor), ("subject", subject)):
        if value:
            events = events.filter(**{field: value})
    if day:
        events = events.filter(at__date=day)
    waiting = Exists(UnsealedEvent.objects.filter(pk=OuterRef("pk")))
    return events.annotate(waiting=waiting).order_by("-id")


def actions_of(site: Site) -> list[str]:
    return list(
        AuditEvent.objects.filter(site=site).order_by("action").values_list("action", flat=True).distinct()
    )


def sealing_state() -> str:
    """For /status: raises when the sealer has fallen behind."""
    overdue = now() - timedelta(seconds=30)
    if late := UnsealedEvent.objects.filter(event__at__lt=overdue).count():
        raise RuntimeError(f"{late} events have waited for their seal for over 30 s: is a default worker up?")
    return f"sealed up to now, {UnsealedEvent.objects.count()} waiting"
