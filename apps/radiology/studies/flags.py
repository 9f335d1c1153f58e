"""Reads: signed reads whose study has other patient or study data than when they were signed.

Such a read is in doubt until its reader adds to it or retracts it: no time and no change back clears it.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import Site
from apps.radiology.models import SIGNED, Addendum, IdentityChange, Read, Study

LIST_MAX = 200


def identity_changed(read: Read) -> bool:
    """Of a signed read. Asked under the study's lock the answer stands until the transaction ends."""
    return bool(read.is_signed and flagged_reads().filter(pk=read.pk).exists())


def flagged_reads() -> QuerySet[Read]:
    since = IdentityChange.objects.filter(study=OuterRef("study"), at__gt=OuterRef("signed_at"))
    later = Addendum.objects.filter(read=OuterRef(OuterRef("pk")), at__gt=OuterRef("at"))
    return Read.objects.filter(Exists(since.filter(~Exists(later))), state__in=SIGNED)


def signed_otherwise() -> Exists:
    """For each row of a queryset of studies."""
    return Exists(flagged_reads().filter(study=OuterRef("pk")))


def identity_mark(study: Study) -> str:
    """Another after each change of the study's identity."""
    last = study.identity_changes.order_by("-pk").values_list("pk", flat=True).first()
    return f"after-{last or 0}"


def flagged_at(site: Site) -> QuerySet[Read]:
    """The longest signed first; of studies that no film is left of too."""
    found = flagged_reads().filter(study__site=site).select_related("study", "reader")
    return found.order_by("signed_at")[:LIST_MAX]


def changes_since(read: Read) -> QuerySet[IdentityChange]:
    """What became of the identity after its reader last said something."""
    last = read.addenda.order_by("-at").first()
    spoke = last.at if last else read.signed_at
    return read.study.identity_changes.select_related("by").filter(at__gt=spoke).order_by("pk")
