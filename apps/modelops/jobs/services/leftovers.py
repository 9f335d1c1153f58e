"""What runs leave on disk, and when it goes: films at once, what was learnt when nobody needs it any more."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from django.db import transaction

from apps.core.clock import now
from apps.modelops.common import places
from apps.modelops.models import TrainingJob

KEPT = timedelta(days=7)  # what a failed or cancelled job would go on from
Status = TrainingJob.Status


def forget_run(job: TrainingJob) -> None:
    """The run is over: patients' films do not stay, nor half an artefact. Where it got as far as a checkpoint
    somebody may go on from there."""
    kept = TrainingJob.objects.filter(pk=job.pk, checkpoint_at__isnull=False).exists()
    folder = places.scratch_folder(job.pk) if kept else places.checkpoint_folder(job.pk)
    _remove(folder, *places.half_made(job.pk))


def forget_checkpoints(job: TrainingJob) -> None:
    _remove(places.checkpoint_folder(job.pk), *places.half_made(job.pk))


def forget_old_checkpoints() -> int:
    """For the sweeper: those of jobs that failed or were cancelled and that nobody went on with."""
    old = TrainingJob.objects.filter(
        status__in=(Status.FAILED, Status.CANCELLED),
        checkpoint_at__isnull=False,
        finished_at__lt=now() - KEPT,
    )
    jobs = list(old.order_by("id")[:100])
    for job in jobs:
        with transaction.atomic():
            # As it was found: somebody may have resumed it since.
            if old.filter(pk=job.pk).update(checkpoint_at=None):
                forget_checkpoints(job)
    return len(jobs)


def _remove(*folders: Path) -> None:
    def gone() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    transaction.on_commit(gone)
