"""Ask for training, claim it, and write down what became of it. Every write of a holder is fenced.

What people may ask of a job meanwhile or afterwards stands in `control`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.common import places
from apps.modelops.common.selectors import claimable_jobs
from apps.modelops.jobs.devices import slot_for
from apps.modelops.jobs.services.leftovers import forget_checkpoints, forget_run
from apps.modelops.models import CrossValidation, DatasetSnapshot, JobEvent, Model, ModelVersion, TrainingJob
from apps.modelops.registry import domain_named
from apps.modelops.versions.variants import chosen_at_training
from ml.common.artefact import open_artefact

LEASE = timedelta(seconds=30)
RING_AGAIN = timedelta(minutes=5)
ATTEMPTS_MAX = 3  # that got no further: then a job is parked until a person looks at it
LOOKED_AT = 100  # waiting jobs, for one whose device is free
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
    device: str = TrainingJob.Device.AUTO,
    by: User | None = None,
    ring_worker: bool = True,
    fold_of: tuple[CrossValidation, int] | tuple[None, None] = (None, None),
) -> TrainingJob:
    """Queue a job, perhaps for one fold of a cross-validation. Raises LynceusError for a preset, parameters
    or a device that are not to be had."""
    domain = domain_named(dataset.domain)
    if preset not in domain.presets:
        known = ", ".join(domain.presets)
        raise LynceusError("unknown_preset", f"{preset!r} is none of the presets {known}.", status=422)
    if device not in TrainingJob.Device.values:
        known = ", ".join(TrainingJob.Device.values)
        raise LynceusError("unknown_device", f"{device!r} is none of the devices {known}.", status=422)
    wanted = wanted_params(dataset.domain, preset, params or {})
    try:
        domain.check_params(wanted)
    except ValueError as error:
        raise LynceusError("invalid_params", str(error), status=422) from error
    job = TrainingJob.objects.create(
        site=dataset.site, domain=dataset.domain, dataset=dataset, preset=preset, params=wanted, seed=seed,
        device=device, requested_by=by, cross_validation=fold_of[0], fold=fold_of[1],
    )  # fmt: skip
    record("training.requested", site=dataset.site, actor=by, subject=f"job:{job.pk}")
    if ring_worker:
        ring("modelops.run_next_job")
    return job


def wanted_params(domain: str, preset: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a job: the preset's, and over them those that were given."""
    return {**domain_named(domain).presets.get(preset, {}), **params}


@transaction.atomic
def claim(job_id: int | None = None) -> TrainingJob | None:
    """Take the first job that nobody holds (or this one) and whose device is free, under a new fence; None
    if there is none. Taken again, it stands behind those that wait now."""
    candidates = claimable_jobs()
    if job_id is not None:
        candidates = candidates.filter(pk=job_id)
    for job in candidates[:LOOKED_AT]:
        if job.attempts >= ATTEMPTS_MAX:
            _give_up(job)
        elif _take(job, slot_for(job)):
            return TrainingJob.objects.select_related("dataset__site", "site").get(pk=job.pk)
    return None


def _take(job: TrainingJob, slot: str) -> bool:
    """Compare-and-set: of two who read the same fence one updates a row and the other none. Of two jobs that
    want one device, the database lets one run."""
    if slot:
        _free_from_the_dead(slot, job)
    try:
        with transaction.atomic():
            mine = TrainingJob.objects.filter(pk=job.pk, fence=job.fence, status=job.status)
            return bool(
                mine.update(
                    status=Status.RUNNING, fence=F("fence") + 1, attempts=F("attempts") + 1, device_slot=slot,
                    lease_expires_at=now() + LEASE, started_at=job.started_at or now(), queued_at=now(),
                    progress={},
                )
            )  # fmt: skip
    except IntegrityError:
        return False


def _free_from_the_dead(slot: str, but: TrainingJob) -> None:
    """A holder whose lease ran out holds no device: its job waits again, and what it writes is refused."""
    dead = TrainingJob.objects.filter(device_slot=slot, status=Status.RUNNING, lease_expires_at__lt=now())
    dead.exclude(pk=but.pk).update(status=Status.QUEUED, device_slot="", lease_expires_at=None)


def _give_up(job: TrainingJob) -> None:
    told = TrainingJob.objects.filter(pk=job.pk, fence=job.fence, status=job.status).update(
        error_code="gave_up",
        error_message=f"Its supervisor died {counted(job.attempts, 'time')} while it got no further:"
        " it is parked.",
        **_over(job, Status.FAILED),
    )
    if told:
        forget_run(job)


def renew(job: TrainingJob) -> str:
    """Hold on to the job; returns what somebody asked of it: cancel, pause or nothing."""
    _fenced(job, lease_expires_at=now() + LEASE)
    wishes = TrainingJob.objects.values_list("cancel_requested", "pause_requested").get(pk=job.pk)
    return "cancel" if wishes[0] else "pause" if wishes[1] else ""


@transaction.atomic
def add_progress(job: TrainingJob, payload: Mapping[str, Any]) -> None:
    """The latest word replaces the one before; kept for good is only what starts a phase or measures.

    A job speaks twice a second for hours: were every line a row, its page would read a hundred thousand.
    """
    further = {"attempts": 0, "checkpoint_at": now()} if payload.get("checkpoint") else {}
    _fenced(job, progress=dict(payload), lease_expires_at=now() + LEASE, **further)
    if payload.get("metrics") or payload.get("phase") != job.progress.get("phase"):
        JobEvent.objects.create(job=job, at=now(), payload=dict(payload))
    job.progress = dict(payload)


@transaction.atomic
def release(job: TrainingJob) -> None:
    """Let go of a job that a person interrupted and that is to be resumed: it waits again."""
    _fenced(job, status=Status.QUEUED, attempts=0, lease_expires_at=None, device_slot="")
    forget_run(job)


@transaction.atomic
def put_back(job: TrainingJob, how: str) -> None:
    """The training process died without a word: the job waits again, behind the others, to go on from its
    checkpoint; after so many attempts that got no further it is parked instead."""
    attempts = TrainingJob.objects.values_list("attempts", flat=True).get(pk=job.pk)
    if attempts >= ATTEMPTS_MAX:
        died = f"The training process died {counted(attempts, 'time')} while it got no further"
        said = f"{died}: it is parked. {how}"
        return finish_failed(job, "process_died", said)
    _fenced(job, status=Status.QUEUED, lease_expires_at=None, device_slot="")
    note(job, f"the training process died: {how} Attempt {attempts + 1} of {ATTEMPTS_MAX} is next.")
    forget_run(job)
    return None


@transaction.atomic
def finish_paused(job: TrainingJob) -> None:
    _fenced(job, status=Status.PAUSED, lease_expires_at=None, device_slot="")
    note(job, "paused")
    forget_run(job)


@transaction.atomic
def finish_cancelled(job: TrainingJob) -> None:
    _fenced(job, **_over(job, Status.CANCELLED))
    forget_run(job)


@transaction.atomic
def finish_failed(job: TrainingJob, code: str, message: str) -> None:
    _fenced(job, error_code=code[:60], error_message=message[:2000], **_over(job, Status.FAILED))
    forget_run(job)


def _over(job: TrainingJob, status: Status) -> dict[str, Any]:
    """Whoever asked for it hears of what they did not do themselves."""
    told = status != Status.CANCELLED and job.requested_by_id is not None
    return {
        "status": status, "finished_at": now(), "lease_expires_at": None, "device_slot": "", "unseen": told,
    }  # fmt: skip


def note(job: TrainingJob, said: str) -> None:
    """A line of the job's log that no trainer wrote."""
    JobEvent.objects.create(job=job, at=now(), payload={"message": said})


@transaction.atomic
def finish_succeeded(
    job: TrainingJob, made: Path, artefact_hash: str, metrics: Mapping[str, Any]
) -> ModelVersion:
    """Check what was made, put it under its hash and give it the next number."""
    artefact = open_artefact(made, artefact_hash, kind=job.domain)
    _fenced(job, checkpoint_at=None, **_over(job, Status.SUCCEEDED))
    place = places.artefact_folder(artefact.artefact_hash)
    if not place.exists():
        made.rename(place)
    Model.objects.get_or_create(domain=job.domain)
    model = Model.objects.select_for_update().get(domain=job.domain)
    highest = model.versions.aggregate(highest=Max("number"))["highest"] or 0
    version = ModelVersion.objects.create(
        model=model, number=highest + 1, artefact_hash=artefact_hash, metrics=dict(metrics),
        dataset=job.dataset, job=job, variant=chosen_at_training(metrics),
    )  # fmt: skip
    record("version.made", site=job.site, actor=job.requested_by, subject=f"version:{version.pk}")
    forget_checkpoints(job)
    return version


@transaction.atomic
def finish_fold(job: TrainingJob, measured: Mapping[str, Any]) -> None:
    """Its fold was measured: there is no version, and nothing more to go on from."""
    _fenced(job, checkpoint_at=None, measured=dict(measured), **_over(job, Status.SUCCEEDED))
    forget_checkpoints(job)


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
    if job.device_slot and "device_slot" in fields:
        ring("modelops.run_next_job")  # others may have waited for the device
