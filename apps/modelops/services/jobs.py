"""Ask for training, claim it, and write down what became of it. Every write of a holder is fenced."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F, Max

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops import places
from apps.modelops.models import DatasetSnapshot, JobEvent, Model, ModelVersion, TrainingJob
from apps.modelops.registry import domain_named
from apps.modelops.selectors import claimable_jobs
from ml.common.artefact import open_artefact

LEASE = timedelta(seconds=30)
RING_AGAIN = timedelta(minutes=5)
CLAIMS_MAX = 10  # a job that takes its supervisor down each time must not block the queue for ever
Status = TrainingJob.Status


_rung_at: dict[tuple[int, int], datetime] = {}


class LeaseLost(Exception):
    """Another holder has the job now: stop at once and write nothing more."""


@transaction.atomic
def request_training(
    *,
    dataset: DatasetSnapshot,
    preset: str,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    by: User | None = None,
    ring_worker: bool = True,
) -> TrainingJob:
    """Queue a job. Raises LynceusError for a preset or parameters the domain does not take."""
    domain = domain_named(dataset.domain)
    if preset not in domain.presets:
        known = ", ".join(domain.presets)
        raise LynceusError("unknown_preset", f"{preset!r} is none of the presets {known}.", status=422)
    wanted = wanted_params(dataset.domain, preset, params or {})
    try:
        domain.check_params(wanted)
    except ValueError as error:
        raise LynceusError("invalid_params", str(error), status=422) from error
    job = TrainingJob.objects.create(
        site=dataset.site, domain=dataset.domain, dataset=dataset, preset=preset, params=wanted, seed=seed,
        requested_by=by,
    )  # fmt: skip
    record("training.requested", site=dataset.site, actor=by, subject=f"job:{job.pk}")
    if ring_worker:
        ring("modelops.run_next_job")
    return job


def wanted_params(domain: str, preset: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a job: the preset's, and over them those that were given."""
    return {**domain_named(domain).presets.get(preset, {}), **params}


@transaction.atomic
def request_cancel(job: TrainingJob, *, by: User | None) -> bool:
    """A queued job ends now; a running one is told by its holder within seconds; False if it was over."""
    mine = TrainingJob.objects.filter(pk=job.pk)
    # In this order: between the two a worker may claim it, and never gives it back to the queue.
    told = mine.filter(status=Status.QUEUED).update(
        status=Status.CANCELLED, cancel_requested=True, finished_at=now()
    ) or mine.filter(status=Status.RUNNING).update(cancel_requested=True)
    if told:
        record("training.cancel_requested", site=job.site, actor=by, subject=f"job:{job.pk}")
    return bool(told)


@transaction.atomic
def claim(job_id: int | None = None) -> TrainingJob | None:
    """Take the oldest job that nobody holds (or this one), under a new fence; None if there is none."""
    candidates = claimable_jobs()
    if job_id is not None:
        candidates = candidates.filter(pk=job_id)
    for job in candidates[:10]:
        if job.fence >= CLAIMS_MAX:
            _give_up(job)
            continue
        # Compare-and-set: of two who read the same fence, one updates a row and the other none.
        won = TrainingJob.objects.filter(pk=job.pk, fence=job.fence, status=job.status).update(
            status=Status.RUNNING,
            fence=F("fence") + 1,
            lease_expires_at=now() + LEASE,
            started_at=job.started_at or now(),
            progress={},
        )
        if won:
            return TrainingJob.objects.select_related("dataset__site", "site").get(pk=job.pk)
    return None


def _give_up(job: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=job.pk, fence=job.fence, status=job.status).update(
        status=Status.FAILED,
        finished_at=now(),
        error_code="gave_up",
        error_message=f"Its supervisor died {job.fence} times: nobody takes it up again.",
    )
    _forget_checkpoints(job)


def renew(job: TrainingJob) -> bool:
    """Hold on to the job; returns whether someone asked for it to be cancelled."""
    _fenced(job, lease_expires_at=now() + LEASE)
    return TrainingJob.objects.values_list("cancel_requested", flat=True).get(pk=job.pk)


@transaction.atomic
def add_progress(job: TrainingJob, payload: Mapping[str, Any]) -> None:
    """The latest word replaces the one before; kept for good is only what starts a phase or measures.

    A job speaks twice a second for hours: were every line a row, its page would read a hundred thousand.
    """
    _fenced(job, progress=dict(payload), lease_expires_at=now() + LEASE)
    if payload.get("metrics") or payload.get("phase") != job.progress.get("phase"):
        JobEvent.objects.create(job=job, at=now(), payload=dict(payload))
    job.progress = dict(payload)


def release(job: TrainingJob) -> None:
    """Let go of a job that is to be resumed: nobody needs to wait for the lease."""
    _fenced(job, lease_expires_at=now())


@transaction.atomic
def finish_cancelled(job: TrainingJob) -> None:
    _fenced(job, status=Status.CANCELLED, finished_at=now(), lease_expires_at=None)
    _forget_checkpoints(job)


@transaction.atomic
def finish_failed(job: TrainingJob, code: str, message: str) -> None:
    _fenced(
        job, status=Status.FAILED, finished_at=now(), lease_expires_at=None,
        error_code=code[:60], error_message=message[:2000],
    )  # fmt: skip
    _forget_checkpoints(job)


@transaction.atomic
def finish_succeeded(
    job: TrainingJob, made: Path, artefact_hash: str, metrics: Mapping[str, Any]
) -> ModelVersion:
    """Check what was made, put it under its hash and give it the next number."""
    artefact = open_artefact(made, artefact_hash, kind=job.domain)
    _fenced(job, status=Status.SUCCEEDED, finished_at=now(), lease_expires_at=None)
    place = places.artefact_folder(artefact.artefact_hash)
    if not place.exists():
        made.rename(place)
    Model.objects.get_or_create(domain=job.domain)
    model = Model.objects.select_for_update().get(domain=job.domain)
    highest = model.versions.aggregate(highest=Max("number"))["highest"] or 0
    version = ModelVersion.objects.create(
        model=model, number=highest + 1, artefact_hash=artefact_hash, metrics=dict(metrics),
        dataset=job.dataset, job=job,
    )  # fmt: skip
    record("version.made", site=job.site, actor=job.requested_by, subject=f"version:{version.pk}")
    return version


def _forget_checkpoints(job: TrainingJob) -> None:
    """Nobody goes on with a job that ended so, and patients' films lie among them."""
    folder = places.checkpoint_folder(job.pk)
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))


def ring_for_waiting_jobs() -> int:
    """For the sweeper: the bell of each job that nobody holds, once in a while and not at every look.

    One worker may be at work for hours. Kept by this process alone: a second sweeper rings a second time.
    """
    at, waiting = now(), list(claimable_jobs().values_list("pk", "fence"))
    for gone in _rung_at.keys() - set(waiting):
        del _rung_at[gone]
    due = [key for key in waiting if key not in _rung_at or _rung_at[key] <= at - RING_AGAIN]
    for key in due:
        _rung_at[key] = at
        ring("modelops.run_next_job")
    return len(due)


def _fenced(job: TrainingJob, **fields: Any) -> None:
    mine = TrainingJob.objects.filter(pk=job.pk, fence=job.fence, status=Status.RUNNING)
    if not mine.update(**fields):
        raise LeaseLost(f"job {job.pk}, fence {job.fence}")
