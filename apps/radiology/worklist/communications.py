"""Reads: critical findings of which somebody has to be told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse

from apps.accounts.models import Role, Site
from apps.radiology.models import Communication, Read


def open_communications(site: Site) -> QuerySet[Communication]:
    """The longest waiting first."""
    return communications_at(site).filter(told_at=None, withdrawn_at=None).order_by("identified_at", "pk")


def closed_communications(site: Site) -> QuerySet[Communication]:
    """The latest first."""
    found = communications_at(site)
    return found.exclude(told_at=None, withdrawn_at=None).order_by("-identified_at", "-pk")


def communications_at(site: Site) -> QuerySet[Communication]:
    found = Communication.objects.select_related("read__study", "read__reader", "told_by", "site")
    return found.filter(site=site)


def communication_for(site: Site, public_id: UUID) -> Communication | None:
    return communications_at(site).filter(public_id=public_id).first()


def untold_of(read: Read) -> QuerySet[Communication]:
    return read.communications.filter(told_at=None, withdrawn_at=None)


def has_untold(escalated: bool = False) -> Exists:
    """For each row of a queryset of studies."""
    untold = Communication.objects.filter(read__study=OuterRef("pk"), told_at=None, withdrawn_at=None)
    return Exists(untold.filter(escalated_at__isnull=False) if escalated else untold)


def notice_of_overdue(user: Any) -> tuple[str, str] | None:
    """For the top bar of every radiologist's page."""
    if user.role != Role.RADIOLOGIST:
        return None
    overdue = Communication.objects.filter(site=user.site_id, told_at=None, withdrawn_at=None)
    count = overdue.filter(escalated_at__isnull=False).count()
    if not count:
        return None
    what = "critical finding" if count == 1 else "critical findings"
    return f"{count} {what} not communicated", reverse("radiology:communications")
