"""Put a film version in shadow, beside the one in service, and end that."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from apps.accounts.models import Site, User
from apps.core.bell import ring
from apps.core.clock import now
from apps.modelops.models import ModelVersion, RunEnd
from apps.modelops.promotion.services.shadow import end_run, run_going_on
from apps.radiology.lifecycle.shadow import is_behind, open_run
from apps.radiology.models import Analysis, ShadowRun

TASK = "radiology.follow_analyses"


@transaction.atomic
def start_shadow(version: ModelVersion, *, by: User, site: Site) -> ShadowRun:
    """It follows every analysis made from now on, of all sites; the run it has where it is in shadow already.

    LynceusError as `put_in_shadow`.
    """
    if going_on := run_going_on(ShadowRun.objects.all(), version, by=by, site=site):
        return going_on
    last = Analysis.objects.aggregate(last=Max("pk"))["last"] or 0
    return ShadowRun.objects.create(
        version=version, after_analysis=last, through=last, seen=last, started_by=by, started_at=now()
    )


def end_shadow(run: ShadowRun, end: RunEnd, *, by: User | None, site: Site) -> bool:
    """False where it was over already. What it said stays."""
    return end_run(ShadowRun.objects.all(), run, end, by=by, site=site)


def ring_shadow() -> int:
    """For the sweeper: ring once where there is something to follow. The worker that judges films rings for
    nobody: it has no more to do with a version in shadow than without."""
    run = open_run()
    if run is None or not is_behind(run):
        return 0
    ring(TASK)
    return 1
