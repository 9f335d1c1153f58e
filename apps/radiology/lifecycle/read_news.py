"""What readers have said since a dataset was frozen, in numbers for the administrator."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from apps.accounts.models import Site
from apps.radiology.models import SIGNED, Adjudication, Read, ReadState


def read_news(site: Site, since: datetime | None) -> dict[str, int]:
    """Since ever where `since` is None."""
    reads = Read.objects.filter(study__site=site)
    signed = Q(state__in=SIGNED)
    preliminary = Q(state=ReadState.PRELIMINARY)
    settled = Adjudication.objects.filter(study__site=site)
    if since is not None:
        signed, preliminary = signed & Q(signed_at__gt=since), preliminary & Q(committed_at__gt=since)
        settled = settled.filter(at__gt=since)
    return {
        "signed reads": reads.filter(signed).count(),
        "preliminary reads": reads.filter(preliminary).count(),
        "findings settled": settled.count(),
    }
