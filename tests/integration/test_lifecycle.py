"""Start, ready, stop, start again: what `make demo` promises about processes and files."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.running import ROOT, Running, ended_after, eventually

PEOPLE = {"radiologist", "radiologist2", "analyst", "analyst2", "mladmin", "mladmin2", "auditor", "operator"}


def still_running(started: list[psutil.Process]) -> list[psutil.Process]:
    """A process that ended and that init has not read yet is no longer running."""
    alive = []
    for process in started:
        with suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    """As `make demo` starts it where nothing is set, over SQLite, after a Ctrl-C in the first minute."""
    with tempfile.TemporaryDirectory(prefix="lyn-") as var:
        demo = Running(Path(var), "")
        demo.launch()
        with ended_after(demo):
            eventually(lambda: "epoch 1/" in demo.said.read_text(), within_s=200, of="the first epoch")
            started = demo.processes()
            demo.stop()
            assert still_running(started) == []
            demo.start()
            yield demo


def test_stopped_while_it_trained_it_went_on_from_there(demo: Running) -> None:
    assert "fraud version 1 made by job 1." in demo.said.read_text()


def test_it_works(demo: Running) -> None:
    with demo.http() as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/livez").status_code == 200


def test_the_summary_holds_what_tools_need_and_is_private(demo: Running) -> None:
    facts = demo.facts
    assert set(facts["accounts"]) == PEOPLE
    assert all(set(account) == {"email", "password"} for account in facts["accounts"].values())
    assert facts["base_url"] == f"http://127.0.0.1:{demo.environment['LYNCEUS_PORT']}"
    assert facts["dicomweb_url"].startswith(facts["base_url"]) and not facts["dicomweb_url"].endswith("/")
    assert facts["webhook"]["secret"].startswith("whsec_")
    assert set(facts["dicom"]) == {"host", "port", "called_aet", "calling_aet"}
    assert stat.S_IMODE(demo.summary.stat().st_mode) == 0o600


def test_every_queue_has_a_worker(demo: Running) -> None:
    with demo.as_person("operator") as client:
        status = client.get("/status/", headers={"Accept": "application/json"}).json()
    assert {queue["name"]: queue["workers"] for queue in status["queues"]} == {
        "realtime": 1, "imaging": 1, "training": 1, "exchange": 1, "shadow": 1,
        "default": 1,
    }  # fmt: skip
    assert [check["name"] for check in status["checks"] if not check["ok"]] == []


def test_the_copy_asked_for_at_the_start_is_made_by_its_worker(demo: Running) -> None:
    with demo.as_person("radiologist") as client:
        eventually(lambda: "chip good" in client.get("/radiology/exports/").text, of="the copy")


def test_a_second_demo_over_the_same_data_is_turned_away(demo: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, env=demo.environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert demo.summary.exists()


def test_a_taken_port_is_named(demo: Running, tmp_path) -> None:
    environment = {**demo.environment, "LYNCEUS_VAR": str(tmp_path)}
    second = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    assert "LYNCEUS_PORT" in second.stderr and demo.environment["LYNCEUS_PORT"] in second.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_all_it_started_and_starts_again_without_training(
    demo: Running, number: signal.Signals
) -> None:
    before = demo.facts
    started = demo.processes()
    assert len(started) > 8
    demo.stop(number)
    assert demo.process.returncode == 0
    assert still_running(started) == []
    assert demo.left() == []
    assert not demo.summary.exists()
    said = len(demo.said.read_text())
    demo.start()
    assert "Training the first" not in demo.said.read_text()[said:]
    assert demo.facts == before


def test_one_process_that_dies_ends_the_demo_with_a_failure(demo: Running) -> None:
    [redis] = [p for p in demo.processes() if p.name() == "redis-server"]
    os.kill(redis.pid, signal.SIGKILL)
    eventually(lambda: demo.process.poll() is not None, of="the end")
    assert demo.process.returncode != 0
    assert demo.left() == []
    demo.start()
