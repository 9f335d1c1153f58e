"""Run one training job in a fresh subprocess and stand by it: progress, lease, cancel, result.

The child speaks JSON lines on its standard output and watches its standard input: when this process
dies the pipe closes and the child ends itself, so that a job never trains twice at once. A child that dies
without a word goes on later from its checkpoint.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import structlog
from django.conf import settings

from apps.modelops.common import places
from apps.modelops.common.services.faults import said_of
from apps.modelops.jobs.services import jobs
from apps.modelops.models import ModelVersion, TrainingJob
from ml.common.artefact import ArtefactError

log = structlog.get_logger(__name__)
# Together a job that is cancelled ends within five seconds, whatever its process is at.
RENEW_EVERY_S = 1.0
GRACE_S = 2.5  # after asking the child to stop between two batches
EXIT_S = 20.0  # for the child to end by itself after its last word
MAX_LINE_BYTES = 1_000_000
Listener = Callable[[Mapping[str, Any]], None]


def run_next(
    job_id: int | None = None, listener: Listener | None = None, *, resumable: bool = False
) -> ModelVersion | None:
    """Claim and run one job; None if there was none to claim or it made no version (yet: it may wait again).

    Ctrl-C cancels the job; a `resumable` one stays unfinished, free to be claimed again.
    """
    job = jobs.claim(job_id)
    if job is None:
        return None
    log.info("training_started", job=job.pk, fence=job.fence)
    try:
        return _Supervisor(job, listener).run()
    except KeyboardInterrupt:
        # The person at the terminal is done with it; without this a worker would take it up again.
        if resumable:
            jobs.release(job)
        else:
            jobs.finish_cancelled(job)
        raise
    except jobs.LeaseLost:
        log.warning("training_lease_lost", job=job.pk, fence=job.fence)
    except OSError as error:
        # Its own files, such as the log; the child says for itself what its files lack.
        log.exception("training_disk_failed", job=job.pk)
        with suppress(jobs.LeaseLost):
            jobs.finish_failed(job, **said_of(error))
    return None


class _Supervisor:
    def __init__(self, job: TrainingJob, listener: Listener | None) -> None:
        self.job = job
        self.listener = listener
        self.result: dict[str, Any] | None = None
        self.error: dict[str, str] | None = None
        self.wish = ""  # cancel or pause, once it was passed on
        self.folder = places.job_folder(job.pk)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(self) -> ModelVersion | None:
        with (self.folder / "log.txt").open("ab") as log_file:
            child = self._start(log_file)
            try:
                self._follow(child)
            finally:
                self._end(child)
        return self._conclude(child.returncode)

    def _start(self, log_file: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "run_job", str(self.job.pk), str(self.job.fence)]
        return subprocess.Popen(  # noqa: S603 - our own interpreter and command
            command,
            cwd=settings.BASE_DIR,
            env={**os.environ, **child_environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            start_new_session=True,
        )

    def _follow(self, child: subprocess.Popen[bytes]) -> None:
        """Until the child closes its output: take its lines, renew the lease, pass on a cancel."""
        lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
        renewed_at = time.monotonic()
        while True:
            try:
                line = lines.get(timeout=RENEW_EVERY_S)
                if line is None:
                    return
                self._hear(line)
            except queue.Empty:
                log.debug("training_silent", job=self.job.pk)
            # Also when lines never cease: a talkative child must still hear of a cancel.
            if time.monotonic() - renewed_at >= RENEW_EVERY_S:
                renewed_at = time.monotonic()
                if (wish := jobs.renew(self.job)) and not self.wish:
                    self._stop(child)
                self.wish = wish or self.wish  # who is paused may still be cancelled

    def _hear(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            log.warning("training_unreadable_line", job=self.job.pk)
            return
        if "result" in message:
            self.result = message["result"]
        elif "error" in message:
            self.error = message["error"]
        elif "progress" in message:
            jobs.add_progress(self.job, message["progress"])
            if self.listener:
                self.listener(message["progress"])

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        signal_group(child, signal.SIGTERM)
        killer = threading.Timer(GRACE_S, signal_group, (child, signal.SIGKILL))
        killer.daemon = True
        killer.start()

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        """However we got here, nothing of the child's process group stays."""
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(timeout=EXIT_S)
        except subprocess.TimeoutExpired:
            log.warning("training_killed", job=self.job.pk)
        signal_group(child, signal.SIGKILL)
        child.wait()

    def _conclude(self, returncode: int) -> ModelVersion | None:
        if self.result is not None and returncode == 0:
            if self.job.fold is not None:
                jobs.finish_fold(self.job, self.result["metrics"])
                return None
            try:
                return jobs.finish_succeeded(
                    self.job,
                    Path(self.result["artefact_dir"]),
                    self.result["artefact_hash"],
                    self.result["metrics"],
                )
            except ArtefactError as error:
                self.error = {"code": error.code, "message": error.message}
        wish = jobs.renew(self.job) or self.wish  # it may have been asked while the process was ending
        if wish == "cancel":
            jobs.finish_cancelled(self.job)
        elif wish == "pause":
            jobs.finish_paused(self.job)
        elif self.error:
            jobs.finish_failed(self.job, **self.error)
            log.error("training_failed", job=self.job.pk, code=self.error["code"])
        else:
            jobs.put_back(self.job, _how_it_ended(returncode))
            log.error("training_died", job=self.job.pk, returncode=returncode)
        return None


def _how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f"It was ended by signal {-returncode} ({signal.Signals(-returncode).name})."
    return f"It ended with code {returncode}."


def _pump(stream: IO[bytes] | None, lines: queue.Queue[bytes | None]) -> None:
    assert stream is not None  # noqa: S101 - opened with PIPE above
    while line := stream.readline(MAX_LINE_BYTES):
        lines.put(line)
    lines.put(None)


def signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # the whole group is gone


def child_environment() -> dict[str, str]:
    """PYTHONHASHSEED because a run must be repeatable. A thread that waits for another sleeps instead of
    spinning: beside other work on two cores an epoch of films took 15 s of processor time, not 72 s.
    """
    return {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "PYTHONHASHSEED": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
