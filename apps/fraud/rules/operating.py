"""Operating points: those a site chose, and what one would come to on a version's held-out days."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import Q, QuerySet

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import Method, OperatingPoint, OperatingProposal
from apps.fraud.rules.holding import Holding
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import ModelVersion
from ml.common.artefact import ArtefactError, open_artefact
from ml.fraud.contracts import Thresholds
from ml.fraud.heldout import HeldOut
from ml.fraud.operating import Consequence, Costs, consequence, for_budget, for_cost


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants. `alerts_per_day` bounds the method by cost; None leaves it unbounded.

    `review` and `decline` are the thresholds of the method by hand.
    """

    method: Method
    alerts_per_day: float | None
    decline_precision: float
    costs: Costs
    review: float = 1.0
    decline: float = 1.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"method": str(self.method)}


@dataclass(frozen=True, slots=True)
class Proposal:
    asked: Asked
    limits: Thresholds
    came_to: Consequence


@dataclass(frozen=True, slots=True)
class Held:
    """What an artefact says of its operating point: as trained, and on its validation days."""

    table: HeldOut
    trained: Thresholds
    alerts_per_day: float
    decline_precision: float


@dataclass(frozen=True, slots=True)
class InForce:
    """What decides at a site, by `point`: with `until` one person tightened it, then `agreed` holds again."""

    limits: Thresholds
    agreed: Thresholds
    until: datetime | None
    point: OperatingPoint | None


def points_of(site: Site, version: ModelVersion) -> QuerySet[OperatingPoint]:
    """The newest first. Versions with one artefact share them, as they answer alike."""
    found = OperatingPoint.objects.filter(site=site, version__artefact_hash=version.artefact_hash)
    return found.select_related("by", "proposal__by", "proposal__review_of__by").order_by("-id")


def proposals_of(site: Site, version: ModelVersion) -> QuerySet[OperatingProposal]:
    """Those nobody has reviewed, the oldest first."""
    found = OperatingProposal.objects.filter(site=site, version__artefact_hash=version.artefact_hash)
    return found.filter(review_of=None).select_related("by").order_by("id")


def proposal_for(site: Site, pk: int) -> OperatingProposal | None:
    found = OperatingProposal.objects.filter(site=site, pk=pk)
    return found.select_related("site", "version", "by").first()


def why_not_review(proposal: OperatingProposal, by: User) -> str | None:
    """Why this person may not say whether it is to hold, or None."""
    return "You asked for this: somebody else reviews it." if proposal.by_id == by.pk else None


def _standing(points: QuerySet[OperatingPoint]) -> QuerySet[OperatingPoint]:
    """The newest first, without what is over."""
    over = Q(until__lte=now()) | Q(proposal__review_of__accepted=False)
    return points.exclude(over).order_by("-id")


def holdings_of(site: Site) -> dict[str, Holding]:
    """The thresholds that hold at the site, by artefact; one that is not there holds as it was trained."""
    rows = _standing(OperatingPoint.objects.filter(site=site))
    steps: dict[str, list[tuple[datetime | None, Thresholds]]] = {}
    for artefact_hash, review, decline, until in rows.values_list(
        "version__artefact_hash", "review", "decline", "until"
    ):
        known = steps.setdefault(artefact_hash, [])
        if not known or known[-1][0] is not None:  # nothing is looked at below what has no end
            known.append((until, Thresholds(review, decline)))
    return {artefact_hash: Holding(tuple(known)) for artefact_hash, known in steps.items()}


def in_force(site: Site, version: ModelVersion) -> InForce:
    """LynceusError 409 as `held_by`."""
    standing = _standing(points_of(site, version))
    newest, agreed = standing.first(), standing.filter(until=None).first()
    trained = held_by(version.artefact_hash).trained
    return InForce(
        _limits(newest) or trained, _limits(agreed) or trained, newest.until if newest else None, newest
    )


def _limits(point: OperatingPoint | None) -> Thresholds | None:
    return Thresholds(point.review, point.decline) if point else None


def loosens(limits: Thresholds, than: Thresholds) -> bool:
    """Whether some score would be let pass, or only looked at, that is not now."""
    return limits.review > than.review or limits.decline > than.decline


@lru_cache(maxsize=4)
def held_by(artefact_hash: str) -> Held:
    """LynceusError 409 where the artefact is not whole, or is older than the table of its held-out days."""
    try:
        artefact = open_artefact(artefact_folder(artefact_hash), artefact_hash, kind="fraud")
        table = HeldOut.from_bytes(artefact.path("heldout.npz").read_bytes())
    except ArtefactError as error:
        if error.code == "missing_file":
            raise LynceusError(
                "no_held_out_days", "This version keeps no held-out days: train again.", status=409
            ) from error
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error
    config = artefact.meta["config"]
    return Held(
        table,
        Thresholds(**artefact.meta["thresholds"]),
        config["review_share"] * float(table.payments_of_day.mean()),
        config["decline_precision"],
    )


def work_out(version: ModelVersion, asked: Asked) -> Proposal:
    """The thresholds that are asked for, and their consequence. LynceusError 409 as `held_by`."""
    held = held_by(version.artefact_hash)
    if asked.method == Method.TRAINED:
        limits = held.trained
    elif asked.method == Method.BY_HAND:
        limits = Thresholds(asked.review, asked.decline)
    elif asked.method == Method.COST:
        limits = for_cost(held.table, asked.costs, asked.alerts_per_day)
    else:
        limits = for_budget(held.table, asked.alerts_per_day or 0.0, asked.decline_precision)
    return Proposal(asked, limits, consequence(held.table, limits, asked.costs))


def in_service(site: Site, version: ModelVersion, asked: Asked) -> Proposal:
    """What decides, or would if the version were in service, by the costs that are asked with."""
    limits = in_force(site, version).limits
    return Proposal(asked, limits, consequence(held_by(version.artefact_hash).table, limits, asked.costs))
