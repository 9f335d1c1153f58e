"""Set where a site's thresholds lie. Decisions keep those they were made with.

To loosen takes two people. One may tighten, for some hours; then what was agreed holds again by itself, and
somebody else reviews it, before or after that.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import OperatingPoint, OperatingProposal, ProposalReview
from apps.fraud.rules.operating import InForce, Proposal, in_force, loosens, proposals_of, why_not_review
from apps.fraud.rules.services.rulesets import moved, revision_locked
from apps.modelops.models import ModelVersion

ALONE_MAX = timedelta(hours=24)


@transaction.atomic
def ask_for_operating_point(
    *, site: Site, version: ModelVersion, proposal: Proposal, note: str, by: User
) -> OperatingProposal:
    """Tighter thresholds hold from the next batch on, for ALONE_MAX; looser ones once somebody else agrees.

    LynceusError 409 where nothing would change, or where what one person tightened before and is over waits
    for its review.
    """
    revision_locked(site)
    now_in_force = in_force(site, version)
    if proposal.limits == now_in_force.limits:
        raise LynceusError("unchanged", "These thresholds hold already.", status=409)
    loose = loosens(proposal.limits, than=now_in_force.limits)
    until = None if loose else _until(site, version, now_in_force)
    made = OperatingProposal.objects.create(
        site=site,
        version=version,
        method=proposal.asked.method,
        review=proposal.limits.review,
        decline=proposal.limits.decline,
        asked=proposal.asked.as_json(),
        came_to={name: asdict(one) for name, one in proposal.came_to.estimates.items()},
        note=note,
        loosens=loose,
        by=by,
        at=now(),
    )
    if loose:
        _record("operating_point.proposed", made, by)
    else:
        _put(made, by, until)
        _record("operating_point.tightened", made, by)
    return made


def _until(site: Site, version: ModelVersion, found: InForce) -> datetime:
    """Tightening again does not make it last longer, and not at all while what is over was not reviewed."""
    at = now()
    for one in proposals_of(site, version).filter(loosens=False):
        if not one.points.filter(until__gt=at).exists():
            raise LynceusError(
                "review_first", "What was tightened before waits for its review by somebody else.", status=409
            )
    return found.until or at + ALONE_MAX


@transaction.atomic
def review_proposal(*, proposal: OperatingProposal, accepted: bool, note: str, by: User) -> None:
    """Accepted, it holds from the next batch on until something else does; refused, it does no longer.

    LynceusError 403 for who asked for it, 409 for one that was reviewed.
    """
    revision_locked(proposal.site)
    if (why := why_not_review(proposal, by)) is not None:
        raise LynceusError("four_eyes", why, status=403)
    if ProposalReview.objects.filter(proposal=proposal).exists():
        raise LynceusError("already_reviewed", "Somebody has reviewed this already.", status=409)
    ProposalReview.objects.create(proposal=proposal, accepted=accepted, note=note, by=by, at=now())
    if accepted:
        _put(proposal, by, until=None)
    else:
        moved(proposal.site)
    _record("operating_point.accepted" if accepted else "operating_point.refused", proposal, by)


def _put(proposal: OperatingProposal, by: User, until: datetime | None) -> None:
    OperatingPoint.objects.create(
        site=proposal.site,
        version=proposal.version,
        method=proposal.method,
        review=proposal.review,
        decline=proposal.decline,
        asked=proposal.asked,
        came_to=proposal.came_to,
        note=proposal.note,
        by=by,
        at=now(),
        until=until,
        proposal=proposal,
    )
    moved(proposal.site)


def _record(action: str, proposal: OperatingProposal, by: User) -> None:
    record(
        action,
        site=proposal.site,
        actor=by,
        subject=f"version:{proposal.version_id}",
        detail={
            "proposal": proposal.pk, "method": str(proposal.method), "review": proposal.review,
            "decline": proposal.decline,
        },
    )  # fmt: skip
