"""The process that stands by a job may itself die or hang: nothing trains on unseen, nothing is lost."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from apps.core.clock import now
from apps.core.sweep import sweep_all
from apps.modelops.common.places import job_folder
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.jobs.services import child
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import ModelVersion, TrainingJob
from ml.common.artefact import open_artefact
from tests.modelops.test_jobs import expire_lease

Status = TrainingJob.Status
pytestmark = pytest.mark.usefixtures("child_can_start")
# Who starts the tests in the background has Ctrl-C ignored, and so would all they start.
SUPERVISE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import django
django.setup()
from apps.modelops.jobs.services import runner
{sabotage}
runner.run_next()
"""
# Another process keeps the child's standard input open: the child never hears that its supervisor died.
HOLD_THE_PIPE = """
import os, signal
start = runner._Supervisor._start
def start_and_hold(self, log_file):
    child = start(self, log_file)
    if os.fork() == 0:
        signal.pause()
    return child
runner._Supervisor._start = start_and_hold
"""


def until(true: Callable[[], object], *, deadline_s: float = 90) -> None:
    end = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"not within {deadline_s} s")
        threading.Event().wait(0.05)


def is_held(lock: Path) -> bool:
    """Whether the process that took this lock still lives; a zombie holds none."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def job(make_job) -> TrainingJob:
    return make_job("outlives")


@pytest.fixture
def lock(job) -> Path:
    return job_folder(job.pk) / "alive"


@pytest.fixture
def supervise(job, lock) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a supervisor of the job in its own process and waits until the job trains."""
    started: list[subprocess.Popen[bytes]] = []

    def start(sabotage: str = "") -> subprocess.Popen[bytes]:
        program = SUPERVISE.format(sabotage=sabotage)
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=settings.BASE_DIR, start_new_session=True
        )
        started.append(process)
        until(lambda: lock.exists() and is_held(lock) and progress_of(job) == "waiting")
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: not is_held(lock))


def progress_of(job: TrainingJob) -> str:
    return TrainingJob.objects.get(pk=job.pk).progress.get("message", "")


def test_its_child_ends_and_another_runner_resumes(job, lock, supervise, monkeypatch) -> None:
    supervise().kill()
    until(lambda: not is_held(lock))
    job.refresh_from_db()
    assert job.status == Status.RUNNING  # nobody could say otherwise
    expire_lease(job)
    rung: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, *_, **__: rung.append(name))
    assert sweep_all()["modelops"] == 1
    assert rung.count("modelops.run_next_job") == 1
    version = run_next()
    assert open_artefact(artefact_dir(version)).meta == {"resumed": True}
    job.refresh_from_db()
    assert (job.status, job.fence) == (Status.SUCCEEDED, 2)


def test_a_child_that_did_not_hear_of_it_would_train_on(job, lock, supervise) -> None:
    supervise(HOLD_THE_PIPE).kill()
    # As if somebody went on renewing: without a lease it would end all the same.
    TrainingJob.objects.update(lease_expires_at=now() + timedelta(hours=1))
    steps = lock.parent / "steps"
    enough = steps.stat().st_size + 150  # at 20 a second at most: beyond the moment given to a clean exit
    until(lambda: steps.stat().st_size >= enough)
    assert is_held(lock)


def test_the_child_of_one_that_hung_is_gone_before_the_lease_is(job, lock, supervise) -> None:
    """Or two would train on one device: the pipe to one that hangs stays open."""
    hung = supervise()
    os.kill(hung.pid, signal.SIGSTOP)
    TrainingJob.objects.update(lease_expires_at=now() + child.LEASE_MARGIN)
    until(lambda: not is_held(lock))


def test_one_that_hung_and_woke_up_is_fenced_out(job, lock, supervise) -> None:
    hung = supervise()
    os.kill(hung.pid, signal.SIGSTOP)
    expire_lease(job)
    version = run_next()
    os.kill(hung.pid, signal.SIGCONT)
    assert hung.wait(timeout=90) == 0
    until(lambda: not is_held(lock))
    job.refresh_from_db()
    assert (job.status, job.fence) == (Status.SUCCEEDED, 2)
    assert ModelVersion.objects.get() == version


def test_an_interrupt_at_the_terminal_cancels_the_job(job, lock, supervise) -> None:
    process = supervise()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=90)
    assert not is_held(lock)
    job.refresh_from_db()
    assert job.status == Status.CANCELLED
