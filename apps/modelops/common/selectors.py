from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Value, When

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.sql import Answered, run
from apps.modelops.common import places
from apps.modelops.models import (
    CrossValidation,
    DatasetSnapshot,
    ImportedVersion,
    ModelVersion,
    Promotion,
    TrainingJob,
)

OPEN = (TrainingJob.Status.QUEUED, TrainingJob.Status.RUNNING)
EVENTS_MAX = 5000
Curves = dict[str, dict[str, list[list[float]]]]


def champion(domain: str) -> ModelVersion | None:
    """The version that serves, or None while nothing was promoted. One small query."""
    serving = ModelVersion.objects.filter(model__domain=domain, pk=F("model__champion"))
    return serving.select_related("model").first()


@dataclass(frozen=True, slots=True)
class Serving:
    """As much of the version in service as a decision needs."""

    number: int
    artefact_hash: str


def ask_serving(domain: str) -> Answered:
    """As `champion`, within a round trip of the caller's; read with `serving_of` after it."""
    return run(
        "SELECT v.number, v.artefact_hash FROM modelops_model m"
        " JOIN modelops_modelversion v ON v.id = m.champion_id WHERE m.domain = %s",
        [domain],
    )


def serving_of(asked: Answered) -> Serving | None:
    rows = asked.fetchall()
    return Serving(*rows[0]) if rows else None


def artefact_dir(version: ModelVersion) -> Path:
    return places.artefact_folder(version.artefact_hash)


def version_named(domain: str, name: str) -> ModelVersion:
    """`name` is a number or "champion"."""
    if name == "champion":
        found = champion(domain)
    elif name.isdecimal():
        found = ModelVersion.objects.filter(model__domain=domain, number=int(name)).first()
    else:
        raise LynceusError("invalid_version", "A version is a whole number or 'champion'.", status=422)
    if found is None:
        raise LynceusError("unknown_version", f"There is no version {name} of {domain}.", status=404)
    return found


def dataset_named(site: Site, domain: str, name: str) -> DatasetSnapshot:
    found = DatasetSnapshot.objects.filter(site=site, domain=domain, name=name).first()
    if found is None:
        raise LynceusError("unknown_dataset", f"There is no {domain} dataset {name!r}.", status=404)
    return found


def jobs_of(site: Site, domain: str) -> QuerySet[TrainingJob]:
    """Those under way first, then the newest; the folds of a cross-validation stand on its own page."""
    over = Case(When(status__in=OPEN, then=Value(0)), default=Value(1))
    found = TrainingJob.objects.filter(site=site, domain=domain, fold=None).order_by(over, "-id")
    return found.select_related("dataset", "requested_by", "version")


def job_for(site: Site, job_id: int) -> TrainingJob | None:
    found = TrainingJob.objects.filter(site=site, pk=job_id).select_related("cross_validation", "retraining")
    return found.select_related("site", "dataset", "requested_by", "version__model").first()


def cross_validation_for(site: Site, cross_validation_id: int) -> CrossValidation | None:
    found = CrossValidation.objects.filter(site=site, pk=cross_validation_id)
    return found.select_related("site", "dataset", "requested_by").first()


def cross_validations_of(site: Site, domain: str) -> QuerySet[CrossValidation]:
    """Newest first."""
    found = CrossValidation.objects.filter(site=site, dataset__domain=domain)
    return found.select_related("dataset").order_by("-id")


def jobs_of_folds(crossed: CrossValidation) -> list[TrainingJob]:
    """In the order of the folds."""
    return list(crossed.jobs.select_related("dataset").order_by("fold"))


def jobs_ahead_of(job: TrainingJob) -> int:
    """How many jobs of any site a worker takes, or took, before this one."""
    before = Q(queued_at__lt=job.queued_at) | Q(queued_at=job.queued_at, pk__lt=job.pk)
    return TrainingJob.objects.filter(before, status__in=OPEN).count()


def unseen_jobs_of(user: User) -> list[TrainingJob]:
    """What ended since its requester last looked, the oldest first; of folds once all of them have."""
    going_on = CrossValidation.objects.filter(requested_by=user, jobs__status__in=OPEN)
    found = TrainingJob.objects.filter(requested_by=user, unseen=True)
    found = found.filter(Q(fold=None) | ~Q(cross_validation__in=going_on))
    return list(found.select_related("cross_validation").order_by("finished_at", "id")[:20])


def datasets_of(site: Site, domain: str) -> QuerySet[DatasetSnapshot]:
    return DatasetSnapshot.objects.filter(site=site, domain=domain).order_by("-id")


def dataset_for(site: Site, dataset_id: int) -> DatasetSnapshot | None:
    return DatasetSnapshot.objects.filter(site=site, pk=dataset_id).first()


def versions_of(site: Site, domain: str) -> QuerySet[ModelVersion]:
    """Newest first. A version belongs to the site of the data it learnt from."""
    found = ModelVersion.objects.filter(dataset__site=site, model__domain=domain)
    return found.select_related("model", "dataset", "job").order_by("-number")


def version_for(site: Site, version_id: int) -> ModelVersion | None:
    found = ModelVersion.objects.filter(dataset__site=site, pk=version_id)
    return found.select_related(
        "model__champion", "model__previous__dataset", "dataset", "job__requested_by"
    ).first()


def versions_for(site: Site, version_ids: Iterable[int]) -> list[ModelVersion]:
    """Those of the site among them, oldest first."""
    found = ModelVersion.objects.filter(dataset__site=site, pk__in=list(version_ids))
    return list(found.select_related("model", "dataset__site", "job").order_by("number"))


def origin_of(version: ModelVersion) -> ImportedVersion | None:
    """Where an imported version comes from; None for one that was trained here."""
    if version.job_id is not None:
        return None
    return ImportedVersion.objects.select_related("by").get(version=version)


def promotion_of(version: ModelVersion) -> Promotion | None:
    """The latest one."""
    return version.promotions.select_related("by").order_by("-id").first()


def claimable_jobs() -> QuerySet[TrainingJob]:
    """Queued, or running under a lease that ran out because its holder died."""
    dead = Q(status=TrainingJob.Status.RUNNING, lease_expires_at__lt=now())
    return TrainingJob.objects.filter(Q(status=TrainingJob.Status.QUEUED) | dead).order_by("queued_at", "id")


def unfinished_job(
    dataset: DatasetSnapshot, *, preset: str, params: Mapping[str, Any], seed: int
) -> TrainingJob | None:
    """The oldest job of this very kind that has not ended: waiting, running, cut off, or paused."""
    jobs = TrainingJob.objects.filter(
        dataset=dataset, preset=preset, params=dict(params), seed=seed, fold=None
    )
    return jobs.filter(status__in=(*OPEN, TrainingJob.Status.PAUSED)).order_by("id").first()


def lease_left_s(job: TrainingJob) -> float:
    """Seconds until another holder may claim a running job; 0 where it may now."""
    expires = TrainingJob.objects.values_list("lease_expires_at", flat=True).get(pk=job.pk)
    return max(0.0, (expires - now()).total_seconds()) if expires else 0.0


def queue_age() -> tuple[int, float | None]:
    """(jobs nobody works on, age of the oldest in seconds), for /status."""
    waiting = claimable_jobs()
    oldest = waiting.first()
    return waiting.count(), (now() - oldest.queued_at).total_seconds() if oldest else None


def events_of(job: TrainingJob) -> list[tuple[datetime, dict[str, Any]]]:
    """(at, payload) in order; the newest few thousand of a job that measured very often."""
    newest = job.events.order_by("-id").values_list("at", "payload")[:EVENTS_MAX]
    return list(newest)[::-1]


def curves_of(events: Iterable[tuple[datetime, Mapping[str, Any]]]) -> Curves:
    """Phase -> metric -> [[epoch, value], ...]; a later word on an epoch wins (a job may have resumed)."""
    series: dict[str, dict[str, dict[float, float]]] = {}
    for _, payload in events:
        if payload.get("epoch") is not None:
            for name, value in payload.get("metrics", {}).items():
                points = series.setdefault(payload["phase"], {}).setdefault(name, {})
                points[payload["epoch"]] = value
    return {
        phase: {name: [[epoch, at[epoch]] for epoch in sorted(at)] for name, at in metrics.items()}
        for phase, metrics in series.items()
    }
