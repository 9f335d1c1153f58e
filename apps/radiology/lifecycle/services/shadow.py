"""Put a film version in shadow, beside the one in service, and end that."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from apps.accounts.models import Site, User
from apps.core.bell import ring
from apps.core.clock import now
from apps.modelops.models import Model, ModelVersion, RunEnd
from apps.modelops.promotion.services.shadow import close_runs, put_in_shadow, take_out_of_shadow
from apps.radiology.lifecycle.shadow import is_behind, open_run
from apps.radiology.models import Analysis, ShadowRun

TASK = "radiology.follow_analyses"


@transaction.atomic
def start_shadow(version: ModelVersion, *, by: User, site: Site) -> ShadowRun:
    """It follows every analysis made from now on, of all sites; the run it has where it is in shadow already.

    LynceusError as `put_in_shadow`.
    """
    begun = put_in_shadow(version, by=by, site=site)  # from here on nobody else starts or ends one
    going_on = ShadowRun.objects.filter(version=version, ended_at=None).first()
    if not begun and going_on is not None:
        return going_on
    close_runs(ShadowRun.objects.filter(version__model=version.model_id), RunEnd.REPLACED, by)
    last = Analysis.objects.aggregate(last=Max("pk"))["last"] or 0
    return ShadowRun.objects.create(
        version=version, after_analysis=last, through=last, seen=last, started_by=by, started_at=now()
    )


@transaction.atomic
def end_shadow(run: ShadowRun, end: RunEnd, *, by: User | None, site: Site) -> bool:
    """False where it was over already. What it said stays."""
    Model.objects.select_for_update().get(pk=run.version.model_id)
    take_out_of_shadow(run.version, by=by, site=site, why=end)
    return close_runs(ShadowRun.objects.filter(pk=run.pk), end, by) > 0


def ring_shadow() -> int:
    """For the sweeper: ring once where there is something to follow. The worker that judges films rings for
    nobody: it has no more to do with a version in shadow than without."""
    run = open_run()
    if run is None or not is_behind(run):
        return 0
    ring(TASK)
    return 1
