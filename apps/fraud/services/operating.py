"""Set where a site's thresholds lie. Decisions keep those they were made with."""

from __future__ import annotations

from dataclasses import asdict

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.fraud.models import OperatingPoint
from apps.fraud.operating import Proposal
from apps.fraud.services.rulesets import moved, revision_locked
from apps.modelops.models import ModelVersion


@transaction.atomic
def set_operating_point(
    *, site: Site, version: ModelVersion, proposal: Proposal, note: str, by: User
) -> OperatingPoint:
    """It holds from the next batch of transactions on that this version decides for the site."""
    revision_locked(site)
    point = OperatingPoint.objects.create(
        site=site,
        version=version,
        method=proposal.asked.method,
        review=proposal.limits.review,
        decline=proposal.limits.decline,
        asked=proposal.asked.as_json(),
        came_to={name: asdict(one) for name, one in proposal.came_to.estimates.items()},
        note=note,
        by=by,
        at=now(),
    )
    moved(site)
    record(
        "operating_point.set",
        site=site,
        actor=by,
        subject=f"version:{version.pk}",
        detail={"method": str(point.method), "review": point.review, "decline": point.decline},
    )
    return point
