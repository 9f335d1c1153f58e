"""Inside the training subprocess: run the domain's trainer and speak JSON lines about it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import asdict
from typing import IO, Any

from django.conf import settings

from apps.core.errors import LynceusError
from apps.modelops import places
from apps.modelops.models import TrainingJob
from apps.modelops.registry import domain_named, load
from apps.modelops.services.datasets import check_unchanged
from ml.common.contracts import Cancelled, ProgressEvent, TrainRequest

SPEAK_EVERY_S = 0.5


class _Voice:
    """The line to the supervisor: our original standard output, moved out of reach of stray prints."""

    def __init__(self) -> None:
        self.out: IO[str] = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self.stopping = threading.Event()
        self._spoke_at = 0.0
        self._phase = ""

    def say(self, **message: Any) -> None:
        self.out.write(json.dumps(message) + "\n")

    def progress(self, event: ProgressEvent) -> None:
        """The trainer's callback: speaks at most twice a second, but never swallows a phase or a metric."""
        if self.stopping.is_set():
            raise Cancelled
        current = time.monotonic()
        if event.metrics or event.phase != self._phase or current - self._spoke_at >= SPEAK_EVERY_S:
            self._spoke_at, self._phase = current, event.phase
            self.say(progress={k: v for k, v in asdict(event).items() if v not in (None, "", {})})


def run(job_id: int, fence: int) -> int:
    """Train; returns the process's exit code."""
    voice = _Voice()
    signal.signal(signal.SIGTERM, lambda *_: voice.stopping.set())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = _train(job_id, fence, voice)
    except Cancelled:
        return 3
    except LynceusError as error:
        voice.say(error={"code": error.code, "message": error.message})
        return 1
    except (MemoryError, OSError, ValueError, RuntimeError) as error:
        # The traceback goes to the job's log, not to a page.
        voice.say(error=_said_of(error))
        raise
    voice.say(result=result)
    return 0


def _said_of(error: Exception) -> dict[str, str]:
    """A code and one sentence: the trainers' own, or what is known of the machine."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    # A graphics card without memory says so in a RuntimeError.
    if isinstance(error, MemoryError) or "out of memory" in first.lower():
        return {"code": "out_of_memory", "message": "Training ran out of memory: use a smaller batch."}
    if isinstance(error, OSError):
        # Without the file's name: paths are for the log.
        return {"code": "disk_failed", "message": f"A file failed: {error.strerror or type(error).__name__}."}
    return {"code": "training_error", "message": first[:500]}


def _train(job_id: int, fence: int, voice: _Voice) -> dict[str, Any]:
    job = TrainingJob.objects.select_related("dataset__site").get(pk=job_id)
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
        device=settings.LYNCEUS_DEVICE,
        resume=any(checkpoints.iterdir()),
        weights_dir=settings.LYNCEUS_BACKBONE_DIR,
    )
    result = load(domain_named(job.domain).trainer)(request, voice.progress)
    return {
        "artefact_dir": str(result.artefact_dir),
        "artefact_hash": result.artefact_hash,
        "metrics": dict(result.metrics),
    }


def _end_with_parent() -> None:
    """Standard input closes when the supervisor is gone: nobody would hear the result."""
    # By descriptor: a daemon thread inside sys.stdin's lock would abort the interpreter's exit.
    while os.read(0, 1):
        pass
    # The supervisor also closes it after the last word; give that exit a moment to happen by itself.
    time.sleep(5)
    os.killpg(0, signal.SIGKILL)
