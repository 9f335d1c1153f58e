"""Reads: which archives a site asks, and what became of the search for a study's priors."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.accounts.models import Site
from apps.radiology.models import DicomPeer, PriorFetch, Study


def peers_at(site: Site, title: str = "") -> QuerySet[DicomPeer]:
    """Those in use; the one of this AE title, where one is named."""
    found = DicomPeer.objects.select_related("site").filter(site=site, is_active=True)
    return found.filter(AETitle=title) if title else found.order_by("AETitle")


def prior_fetches_of(study: Study) -> QuerySet[PriorFetch]:
    return study.prior_fetches.select_related("peer").order_by("pk")
