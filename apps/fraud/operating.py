"""Operating points: those a site chose, and what one would come to on a version's held-out days."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Site
from apps.core.errors import LynceusError
from apps.fraud.models import Method, OperatingPoint
from apps.modelops.models import ModelVersion
from apps.modelops.places import artefact_folder
from ml.common.artefact import ArtefactError, open_artefact
from ml.fraud.contracts import Thresholds
from ml.fraud.heldout import HeldOut
from ml.fraud.operating import Consequence, Costs, consequence, for_budget, for_cost


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants. `alerts_per_day` bounds the method by cost; None leaves it unbounded."""

    method: Method
    alerts_per_day: float | None
    decline_precision: float
    costs: Costs

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


def points_of(site: Site, version: ModelVersion) -> QuerySet[OperatingPoint]:
    """The newest first. Versions with one artefact share them, as they answer alike."""
    found = OperatingPoint.objects.filter(site=site, version__artefact_hash=version.artefact_hash)
    return found.select_related("by").order_by("-id")


def limits_of(site: Site) -> dict[str, Thresholds]:
    """The thresholds that hold at the site, by artefact; one that is not there holds as it was trained."""
    rows = OperatingPoint.objects.filter(site=site).order_by("id")
    return {
        artefact_hash: Thresholds(review, decline)
        for artefact_hash, review, decline in rows.values_list("version__artefact_hash", "review", "decline")
    }


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
    elif asked.method == Method.COST:
        limits = for_cost(held.table, asked.costs, asked.alerts_per_day)
    else:
        limits = for_budget(held.table, asked.alerts_per_day or 0.0, asked.decline_precision)
    return Proposal(asked, limits, consequence(held.table, limits, asked.costs))


def in_service(site: Site, version: ModelVersion, asked: Asked) -> Proposal:
    """What decides, or would if the version were in service, by the costs that are asked with."""
    held = held_by(version.artefact_hash)
    newest = points_of(site, version).first()
    limits = Thresholds(newest.review, newest.decline) if newest else held.trained
    return Proposal(asked, limits, consequence(held.table, limits, asked.costs))
