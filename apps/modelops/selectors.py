from __future__ import annotations

from pathlib import Path

from django.db.models import F, Q, QuerySet

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops import places
from apps.modelops.models import DatasetSnapshot, ModelVersion, TrainingJob

OPEN = (TrainingJob.Status.QUEUED, TrainingJob.Status.RUNNING)


def champion(domain: str) -> ModelVersion | None:
    """The version that serves, or None while nothing was promoted. One small query."""
    serving = ModelVersion.objects.filter(model__domain=domain, pk=F("model__champion"))
    return serving.select_related("model").first()


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


def jobs_of(site: Site) -> QuerySet[TrainingJob]:
    return TrainingJob.objects.filter(site=site).select_related("dataset", "requested_by").order_by("-id")


def claimable_jobs() -> QuerySet[TrainingJob]:
    """Queued, or running under a lease that ran out because its holder died."""
    dead = Q(status=TrainingJob.Status.RUNNING, lease_expires_at__lt=now())
    return TrainingJob.objects.filter(Q(status=TrainingJob.Status.QUEUED) | dead).order_by("created_at")


def unfinished_job(dataset: DatasetSnapshot, *, preset: str, seed: int) -> TrainingJob | None:
    """The oldest job of this kind that has not ended: waiting, running, or cut off."""
    jobs = TrainingJob.objects.filter(dataset=dataset, preset=preset, seed=seed, status__in=OPEN)
    return jobs.order_by("id").first()


def lease_left_s(job: TrainingJob) -> float:
    """Seconds until another holder may claim a running job; 0 where it may now."""
    expires = TrainingJob.objects.values_list("lease_expires_at", flat=True).get(pk=job.pk)
    return max(0.0, (expires - now()).total_seconds()) if expires else 0.0


def queue_age() -> tuple[int, float | None]:
    """(jobs nobody works on, age of the oldest in seconds), for /status."""
    waiting = claimable_jobs()
    oldest = waiting.first()
    return waiting.count(), (now() - oldest.created_at).total_seconds() if oldest else None


def curve_of(job: TrainingJob) -> dict[str, list[list[float]]]:
    """Each metric the job reported, as [[epoch, value], ...]; a later word on an epoch wins."""
    series: dict[str, dict[float, float]] = {}
    for payload in job.events.order_by("id").values_list("payload", flat=True):
        if payload.get("epoch") is not None:
            for name, value in payload.get("metrics", {}).items():
                series.setdefault(name, {})[payload["epoch"]] = value
    return {name: [[epoch, points[epoch]] for epoch in sorted(points)] for name, points in series.items()}
