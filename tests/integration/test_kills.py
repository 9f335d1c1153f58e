"""Workers are killed while they work; nothing is lost, nothing is decided twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.integration.running import ROOT, Running, eventually
from tests.integration.test_transactions import decision_on, event

KILLS = int(os.environ.get("LYNCEUS_SOAK_KILLS") or 4)


def pool_children(demo: Running, worker: str) -> list[psutil.Process]:
    """The processes a prefork worker works in: those whose parent has the same command line."""
    named: dict[int, int] = {}
    for process in demo.processes():
        with suppress(psutil.Error):  # it has just ended
            if f"{worker}@" in " ".join(process.cmdline()):
                named[process.pid] = process.ppid()
    return [psutil.Process(pid) for pid, parent in named.items() if parent in named]


@contextmanager
def another_worker(demo: Running, number: int) -> Iterator[subprocess.Popen[bytes]]:
    """A realtime worker beside the demo's own, whose death does not end the demo."""
    broker = f"redis+socket://{demo.var / 'redis.sock'}"
    command = [
        "-m",
        "celery",
        "-A",
        "config",
        "worker",
        "-Q",
        "realtime",
        "-n",
        f"extra{number}@%h",
        "-P",
        "solo",
    ]
    with (demo.var / "extra.log").open("ab") as log:
        worker = subprocess.Popen(
            [str(ROOT / ".venv/bin/python"), *command], cwd=ROOT, stdout=log, stderr=log,
            env={**demo.environment, "REDIS_URL": broker, "LYNCEUS_DEMO": "1"},
        )  # fmt: skip
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.soak
def test_every_transaction_is_decided_once_though_workers_die(demo: Running) -> None:
    sent = []
    for number in range(KILLS):
        events = [event(card_token=f"tok-kill-{n % 7}") for n in range(50)]
        with another_worker(demo, number) as worker:
            assert demo.send_events(events).status_code == 202
            for process in pool_children(demo, "realtime"):
                with suppress(psutil.Error):
                    process.kill()
            worker.kill()
        sent += [one["event_id"] for one in events]
    made = [decision_on(demo, event_id) for event_id in sent]
    assert [one["event_id"] for one in made] == sent
    verify_audit(demo)


def verify_audit(demo: Running) -> None:
    """Every sealed row is whole, and none waits for long."""
    done = subprocess.run(
        [str(ROOT / ".venv/bin/python"), "manage.py", "verify_audit"], cwd=ROOT, capture_output=True,
        text=True, check=False, env={**demo.environment, "LYNCEUS_DEMO": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_film_is_analysed_though_its_decoder_is_killed(demo: Running) -> None:
    film = sorted((demo.var / "films-to-send").glob("*.dcm"))[-1]
    assert demo.store_by_dimse(film) == 0
    for process in demo.processes():
        with suppress(psutil.Error):
            if "ml.radiology.decoder" in process.cmdline():
                process.kill()
    eventually(lambda: demo.study_of(film)["status"] == "analysed", of="the analysis")
