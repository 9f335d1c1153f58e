"""Inside the training subprocess: run the domain's trainer and speak JSON lines about it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError, connection

from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common import places
from apps.modelops.common.services.faults import said_of
from apps.modelops.datasets.services.datasets import check_unchanged
from apps.modelops.jobs.devices import device_of
from apps.modelops.jobs.services.usage import Usage
from apps.modelops.models import TrainingJob
from apps.modelops.registry import domain_named, load
from apps.modelops.versions.lineage import lineage
from ml.common.contracts import Cancelled, FoldRequest, ProgressEvent, TrainRequest

SPEAK_EVERY_S = 0.5
LOOK_EVERY_S = 2.0  # at the lease
LEASE_MARGIN = timedelta(seconds=5)


class _Voice:
    """The line to the supervisor: our original standard output, moved out of reach of stray prints."""

    def __init__(self) -> None:
        self.out: IO[str] = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self.stopping = threading.Event()
        self._spoke_at = 0.0
        self._phase = ""
        self._usage = Usage()

    def say(self, **message: Any) -> None:
        self.out.write(json.dumps(message) + "\n")

    def progress(self, event: ProgressEvent) -> None:
        """The trainer's callback: speaks at most twice a second, but never swallows a phase, a metric or a
        checkpoint."""
        if self.stopping.is_set():
            raise Cancelled
        current = time.monotonic()
        counts = event.metrics or event.checkpoint or event.phase != self._phase
        if counts or current - self._spoke_at >= SPEAK_EVERY_S:
            self._spoke_at, self._phase = current, event.phase
            self.say(progress=event.as_json() | {"usage": self._usage.since_last()})


def run(job_id: int, fence: int) -> int:
    """Train; returns the process's exit code."""
    voice = _Voice()
    signal.signal(signal.SIGTERM, lambda *_: voice.stopping.set())
    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=_end_before_lease, args=(job_id, fence), daemon=True).start()
    try:
        result = _train(job_id, fence, voice)
    except Cancelled:
        return 3
    except LynceusError as error:
        voice.say(error={"code": error.code, "message": error.message})
        return 1
    except (MemoryError, OSError, ValueError, RuntimeError) as error:
        # The traceback goes to the job's log, not to a page.
        voice.say(error=said_of(error))
        raise
    voice.say(result=result)
    return 0


def _train(job_id: int, fence: int, voice: _Voice) -> dict[str, Any]:
    job = TrainingJob.objects.select_related("dataset__site", "cross_validation").get(pk=job_id)
    if job.fence != fence:
        raise LynceusError("lease_lost", "Another runner has this job.")
    folder = places.job_folder(job_id)
    checkpoints = places.checkpoint_folder(job_id)
    checkpoints.mkdir(mode=0o700, exist_ok=True)
    request = TrainRequest(
        dataset_dir=check_unchanged(job.dataset),
        output_dir=folder / f"output-{fence}",
        checkpoint_dir=checkpoints,
        params=job.params,
        seed=job.seed,
        device=device_of(job),
        resume=any(checkpoints.iterdir()),
        weights_dir=settings.LYNCEUS_BACKBONE_DIR,
        lineage=lineage(job.domain),
    )
    domain = domain_named(job.domain)
    if job.cross_validation is not None and job.fold is not None:
        fold = FoldRequest(job.fold, job.cross_validation.folds, job.cross_validation.seed)
        return {"metrics": dict(load(domain.fold_trainer)(request, fold, voice.progress))}
    result = load(domain.trainer)(request, voice.progress)
    return {
        "artefact_dir": str(result.artefact_dir),
        "artefact_hash": result.artefact_hash,
        "metrics": dict(result.metrics),
    }


def end_with_parent() -> None:
    """Standard input closes when the supervisor is gone: nobody would hear the result."""
    # By descriptor: a daemon thread inside sys.stdin's lock would abort the interpreter's exit.
    while os.read(0, 1):
        pass
    # The supervisor also closes it after the last word; give that exit a moment to happen by itself.
    time.sleep(5)
    os.killpg(0, signal.SIGKILL)


def _end_before_lease(job_id: int, fence: int) -> None:
    """A supervisor that hangs does not renew: this process is gone before another may take up the job, or the
    device. While the database is away, what it last said counts."""
    expires_at: datetime | None = now() + LEASE_MARGIN * 2
    while expires_at is not None and expires_at - now() > LEASE_MARGIN:
        time.sleep(LOOK_EVERY_S)
        with suppress(DatabaseError):
            mine = TrainingJob.objects.filter(pk=job_id, fence=fence, status=TrainingJob.Status.RUNNING)
            expires_at = mine.values_list("lease_expires_at", flat=True).first()
        connection.close()
    os.killpg(0, signal.SIGKILL)
