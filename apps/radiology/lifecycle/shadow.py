"""What is known of a film version in shadow: how far it is, what it would have called, raised and moved."""

from __future__ import annotations

from django.db.models import Exists, Max, OuterRef, QuerySet

from apps.core.clock import now
from apps.modelops.models import ModelVersion
from apps.radiology.models import Analysis, ShadowAnalysis, ShadowRun

WAITING_MAX = 10_000  # beyond, nobody counts


def open_run() -> ShadowRun | None:
    """The one that is not over, with its version, model and site."""
    runs = ShadowRun.objects.filter(ended_at=None).select_related("version__model", "version__dataset__site")
    return runs.order_by("-pk").first()


def latest_run(version: ModelVersion) -> ShadowRun | None:
    runs = ShadowRun.objects.filter(version=version).select_related("version", "started_by", "ended_by")
    return runs.order_by("-pk").first()


def is_behind(run: ShadowRun) -> bool:
    """Whether there may be more to follow."""
    last = Analysis.objects.aggregate(last=Max("pk"))["last"] or 0
    return run.through < last


def unscored(run: ShadowRun, through: int) -> QuerySet[Analysis]:
    """Analyses after `through` that the run has not scored, the first made first."""
    scored = ShadowAnalysis.objects.filter(run=run, analysis=OuterRef("pk"))
    made = Analysis.objects.filter(~Exists(scored), pk__gt=through).select_related("instance__site")
    return made.prefetch_related("findings").order_by("pk")


def waiting_age() -> tuple[int, float | None]:
    """How many analyses wait to be scored, WAITING_MAX at most, and for how many seconds the oldest has."""
    run = open_run()
    if run is None:
        return 0, None
    waiting = unscored(run, run.through).select_related(None).prefetch_related(None)
    oldest = waiting.values_list("at", flat=True).first()
    if oldest is None:
        return 0, None
    return waiting[:WAITING_MAX].count(), max(0.0, (now() - oldest).total_seconds())
