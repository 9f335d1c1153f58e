"""Let a version score beside the champion, and end that. The domain follows its own traffic with it."""

from __future__ import annotations

from typing import Protocol, TypeVar

from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.models import FollowingRun, Model, ModelVersion, RunEnd
from ml.common.artefact import ArtefactError, open_artefact

Run = TypeVar("Run", bound=FollowingRun)


@transaction.atomic
def put_in_shadow(version: ModelVersion, *, by: User, site: Site) -> bool:
    """In place of one that is there; False where it is there already.

    LynceusError for the version in service, or whose artefact is not whole.
    """
    try:
        open_artefact(artefact_dir(version), version.artefact_hash, kind=version.model.domain)
    except ArtefactError as error:
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error
    model = Model.objects.select_for_update().get(pk=version.model_id)
    if model.champion_id == version.pk:
        said = "The version in service decides: in shadow it would be compared with itself."
        raise LynceusError("in_service", said, status=409)
    if model.shadow_id == version.pk:
        return False
    if model.shadow_id is not None:
        _record_end(model.shadow_id, by, site, "replaced")
    model.shadow = version
    model.save(update_fields=["shadow"])
    record("shadow.started", site=site, actor=by, subject=f"version:{version.pk}")
    return True


@transaction.atomic
def take_out_of_shadow(version: ModelVersion, *, by: User | None, site: Site, why: str) -> bool:
    """False where it is not in shadow; `by` nobody where it ended by itself."""
    model = Model.objects.select_for_update().get(pk=version.model_id)
    if model.shadow_id != version.pk:
        return False
    model.shadow = None
    model.save(update_fields=["shadow"])
    _record_end(version.pk, by, site, why)
    return True


def _record_end(version_id: int, by: User | None, site: Site, why: str) -> None:
    record("shadow.ended", site=site, actor=by, subject=f"version:{version_id}", detail={"why": why})


def settle_end(run: FollowingRun) -> RunEnd | None:
    """How an open run ended by what became of its version; None while that is in shadow."""
    model = run.version.model
    if model.champion_id == run.version_id:
        return RunEnd.PROMOTED
    return None if model.shadow_id == run.version_id else RunEnd.STOPPED


def run_going_on(runs: QuerySet[Run], version: ModelVersion, *, by: User, site: Site) -> Run | None:
    """Put the version in shadow: its open run among the domain's `runs` where it was there already; else
    None, with every other run closed, for the domain to begin one. Within the caller's transaction.

    LynceusError as `put_in_shadow`.
    """
    begun = put_in_shadow(version, by=by, site=site)  # from here on nobody else starts or ends one
    going_on = runs.filter(version=version, ended_at=None).first()
    if not begun and going_on is not None:
        return going_on
    _close(runs.filter(version__model=version.model_id), RunEnd.REPLACED, by)
    return None


@transaction.atomic
def end_run(runs: QuerySet[Run], run: Run, end: RunEnd, *, by: User | None, site: Site) -> bool:
    """False where it was over already. What it said stays."""
    Model.objects.select_for_update().get(pk=run.version.model_id)
    take_out_of_shadow(run.version, by=by, site=site, why=end)
    return _close(runs.filter(pk=run.pk), end, by) > 0


def _close(runs: QuerySet[Run], end: RunEnd, by: User | None) -> int:
    """Those that are open among them; returns how many."""
    return runs.filter(ended_at=None).update(ended_at=now(), ended_by=by, end=end)


class Place(Protocol):
    """How far a run is. Every row up to `through` that there will ever be is scored; of those up to `seen`
    whatever could be seen then. Whoever might still write one with a smaller key began before transaction
    `fence` (0: not known yet)."""

    through: int
    seen: int
    fence: int


def move_on(place: Place, up_to: int, number: int, oldest: int) -> None:
    """Everything up to `up_to` that could be seen in a look is scored. A row's key is drawn before it is
    committed: one with a smaller key may still come, so `through` stays behind until whoever drew it is done.

    `oldest`: the smallest transaction open at that look; `number`: of this transaction, which began after
    `seen` was seen. Whoever draws a key wrote something (a lock, a row) before, so their number is smaller
    than a fence that was set later; once all smaller ones are over, what they wrote was in the look.
    """
    if not place.fence:
        place.fence = number
    elif oldest >= place.fence:
        place.through = min(place.seen, up_to)
        place.seen, place.fence = up_to, 0
