"""Reads: what is on its way to a PACS, and how it went."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.words import counted
from apps.radiology.models import Dispatch
from apps.radiology.studies.flags import flagged_reads

WAITING, DELIVERED, DEAD, SUPERSEDED = "waiting", "delivered", "not delivered", "superseded"
_IN_FORCE = Q(document__superseded_at=None) & Q(result__superseded_at=None)
_OPEN = Q(delivered_at=None, dead_at=None)


def due_dispatches() -> QuerySet[Dispatch]:
    """Made, in force, and their destination switched on."""
    made = Q(result__isnull=False) | (Q(document__isnull=False) & ~Q(document__file_sha256=""))
    due = Dispatch.objects.filter(_OPEN, _IN_FORCE, made, due_at__lte=now(), destination__is_active=True)
    return due.order_by("due_at", "id")


def dispatches_at(site: Site, state: str = "") -> QuerySet[Dispatch]:
    """The latest first; those `held_back` wait for a person, who says whose the report is."""
    flagged = flagged_reads().filter(pk=OuterRef("document__read"))
    found = (
        Dispatch.objects.select_related(
            "destination", "document__read__study", "document__read__reader", "result__study"
        )
        .prefetch_related("tries")
        .annotate(held_back=Exists(flagged))
    )
    return found.filter(_STATES.get(state, Q()), destination__site=site).order_by("-pk")


_STATES = {
    WAITING: _OPEN & _IN_FORCE,
    DELIVERED: Q(delivered_at__isnull=False),
    DEAD: Q(dead_at__isnull=False) & _IN_FORCE,
    SUPERSEDED: Q(delivered_at=None) & ~_IN_FORCE,
}
STATES = tuple(_STATES)


def counts_at(site: Site) -> dict[str, int]:
    counts = {name.replace(" ", "_"): Count("pk", filter=state) for name, state in _STATES.items()}
    return Dispatch.objects.filter(destination__site=site).aggregate(**counts)


def dispatch_for(site: Site, dispatch_id: int) -> Dispatch | None:
    return Dispatch.objects.filter(destination__site=site, pk=dispatch_id).first()


def undelivered_reports() -> str:
    """For /status."""
    dead = Dispatch.objects.filter(_STATES[DEAD]).count()
    if dead:
        raise RuntimeError(f"{counted(dead, 'object')} could not be delivered to a PACS: see Deliveries")
    return "all delivered or on their way"
