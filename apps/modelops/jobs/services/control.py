"""What people ask of a job that was queued: stop it, lay it aside, go on with it, forget how far it got."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.modelops.jobs.services.jobs import note
from apps.modelops.jobs.services.leftovers import forget_checkpoints, forget_run
from apps.modelops.models import TrainingJob

Status = TrainingJob.Status


@transaction.atomic
def request_cancel(job: TrainingJob, *, by: User | None) -> bool:
    """One that waits or is paused ends now; a running one is told by its holder within seconds; False if it
    was over."""
    mine = TrainingJob.objects.filter(pk=job.pk)

    def ended() -> int:
        return mine.filter(status__in=(Status.QUEUED, Status.PAUSED)).update(
            status=Status.CANCELLED, cancel_requested=True, finished_at=now()
        )

    # Between two looks a worker may claim it, or its process die so that it waits again.
    told = ended() or mine.filter(status=Status.RUNNING).update(cancel_requested=True) or ended()
    if mine.filter(status=Status.CANCELLED).exists():
        forget_run(job)
    return _recorded(job, "training.cancel_requested", told, by)


@transaction.atomic
def request_pause(job: TrainingJob, *, by: User | None) -> bool:
    """A queued job is laid aside now, a running one when its holder hears of it; what it learnt since its
    last checkpoint is lost. False if it neither waits nor runs."""
    mine = TrainingJob.objects.filter(pk=job.pk)

    def laid_aside() -> int:
        return mine.filter(status=Status.QUEUED).update(status=Status.PAUSED)

    running = mine.filter(status=Status.RUNNING, cancel_requested=False)
    told = laid_aside() or running.update(pause_requested=True) or laid_aside()
    return _recorded(job, "training.pause_requested", told, by)


@transaction.atomic
def request_resume(job: TrainingJob, *, by: User | None, ring_worker: bool = True) -> bool:
    """Queue a job again that was paused, failed or was cancelled: it goes on from its checkpoint, or begins
    anew where nothing is kept. False for any other."""
    stopped = TrainingJob.objects.filter(
        pk=job.pk, status__in=(Status.PAUSED, Status.FAILED, Status.CANCELLED)
    )
    told = stopped.update(
        status=Status.QUEUED, cancel_requested=False, pause_requested=False, attempts=0, queued_at=now(),
        finished_at=None, error_code="", error_message="", unseen=False,
    )  # fmt: skip
    if told:
        note(job, "queued again")
        if ring_worker:
            ring("modelops.run_next_job")
    return _recorded(job, "training.resume_requested", told, by)


@transaction.atomic
def discard_checkpoint(job: TrainingJob, *, by: User | None) -> bool:
    """Delete what a failed or cancelled job would go on from; False where there is nothing of the kind."""
    over = TrainingJob.objects.filter(pk=job.pk, status__in=(Status.FAILED, Status.CANCELLED))
    told = over.filter(checkpoint_at__isnull=False).update(checkpoint_at=None)
    if told:
        forget_checkpoints(job)
    return _recorded(job, "training.checkpoint_discarded", told, by)


def _recorded(job: TrainingJob, action: str, told: int, by: User | None) -> bool:
    if told:
        record(action, site=job.site, actor=by, subject=f"job:{job.pk}")
    return bool(told)
