"""What is known of a version in shadow: how far it is, how often it agrees, what it said of one decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from django.db.models import Exists, Max, Min, OuterRef, QuerySet, Sum
from django.db.models.functions import Length

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.models import (
    Decision,
    Outcome,
    ShadowCount,
    ShadowCursor,
    ShadowRun,
    ShadowScore,
)
from apps.modelops.models import ModelVersion
from ml.fraud.features import N_FEATURES

VECTOR_BYTES = 4 * (N_FEATURES + 1)
SAMPLE = 2000  # of the latest decisions, for the correlation and the chart
WAITING_MAX = 10_000  # beyond, nobody counts
DAYS = 30
ALERTS = (Outcome.REVIEW, Outcome.DECLINE)


def open_run() -> ShadowRun | None:
    """The one that is not over, with its version, model and site."""
    runs = ShadowRun.objects.filter(ended_at=None).select_related("version__model", "version__dataset__site")
    return runs.order_by("-pk").first()


def latest_run(version: ModelVersion) -> ShadowRun | None:
    runs = ShadowRun.objects.filter(version=version).select_related("version", "started_by", "ended_by")
    return runs.order_by("-pk").first()


def behind(run: ShadowRun) -> QuerySet[ShadowCursor]:
    """Cursors of shards that may have more to follow."""
    last = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
    return ShadowCursor.objects.filter(run=run, through__lt=last).order_by("shard")


def unscored(run: ShadowRun, through: int) -> QuerySet[Decision]:
    """Decisions after `through` that the run has not scored though it could, in the order of deciding."""
    scored = ShadowScore.objects.filter(run=run, decision=OuterRef("pk"))
    made = Decision.objects.filter(~Exists(scored), pk__gt=through)
    made = made.annotate(size=Length("evidence__features")).filter(size=VECTOR_BYTES)
    return made.select_related("evidence", "transaction__source__site").order_by("pk")


def waiting_age() -> tuple[int, float | None]:
    """How many decisions wait to be scored, WAITING_MAX at most, and for how many seconds the oldest has."""
    run = open_run()
    if run is None:
        return 0, None
    through = run.cursors.aggregate(least=Min("through"))["least"] or 0
    waiting = unscored(run, through).select_related(None)
    oldest = waiting.values_list("decided_at", flat=True).first()
    if oldest is None:
        return 0, None
    return waiting[:WAITING_MAX].count(), max(0.0, (now() - oldest).total_seconds())


def said_of(made: Decision) -> ShadowScore | None:
    """By the version that was in shadow last."""
    said = ShadowScore.objects.filter(decision=made).select_related("run__version")
    return said.order_by("-run").first()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of a site's decisions that a run scored: how many were `was` and would have been `would_be`."""

    cells: Counter[tuple[str, str]]

    @property
    def n(self) -> int:
        return self.cells.total()

    @property
    def same(self) -> int:
        return sum(n for (was, would_be), n in self.cells.items() if was == would_be)

    @property
    def alerts(self) -> int:
        return sum(n for (was, _), n in self.cells.items() if was in ALERTS)

    @property
    def would_be_alerts(self) -> int:
        return sum(n for (_, would_be), n in self.cells.items() if would_be in ALERTS)

    @property
    def both(self) -> int:
        return sum(n for (was, would_be), n in self.cells.items() if was in ALERTS and would_be in ALERTS)


def agreement_of(run: ShadowRun, site: Site) -> Agreement:
    found = ShadowCount.objects.filter(run=run, site=site)
    cells = found.values_list("was", "would_be").annotate(total=Sum("n")).order_by("was", "would_be")
    return Agreement(Counter({(was, would): n for was, would, n in cells}))


def agreement_by_day(run: ShadowRun, site: Site) -> dict[date, Agreement]:
    """The latest DAYS days on which any was scored, the oldest first."""
    counts = ShadowCount.objects.filter(run=run, site=site)
    days = sorted(counts.order_by("-day").values_list("day", flat=True).distinct()[:DAYS])
    by_day = {day: Agreement(Counter()) for day in days}
    for day, was, would, n in counts.filter(day__in=days).values_list("day", "was", "would_be", "n"):
        by_day[day].cells[was, would] += n
    return by_day


Floats = npt.NDArray[np.float64]
Pair = tuple[float, float, bool]  # the score decided on, the one in shadow, whether both came to the same


def pairs_of(run: ShadowRun, site: Site) -> list[Pair]:
    """Of the latest SAMPLE decisions that have both scores."""
    said = ShadowScore.objects.filter(run=run, site=site).select_related("decision").order_by("-decision")
    return [
        (one.decision.score, one.score, one.decision.outcome == one.would_be)
        for one in said[:SAMPLE]
        if one.score is not None and one.decision.score is not None
    ]


def correlation(pairs: list[Pair]) -> float | None:
    """Of the scores' ranks (Spearman); None where there are fewer than ten, or all of one side are equal."""
    if len(pairs) < 10:
        return None
    ours, theirs = (_ranks(np.array([pair[side] for pair in pairs])) for side in (0, 1))
    if not (ours.std() and theirs.std()):
        return None
    return float(np.corrcoef(ours, theirs)[0, 1])


def _ranks(values: Floats) -> Floats:
    """From 0; equal values share the mean of their places."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[which], np.float64)
