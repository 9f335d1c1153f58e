"""What keeps two demos, or a demo and a stranger, out of each other's way; and what each guard prevents."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

import demo.__main__ as front_door
from demo.places import Places
from tests.integration.running import ROOT

# A child that outlives its parent unless someone looks for it: its own session, its parent gone.
LEAVES_ONE = """
import subprocess, sys
from demo.__main__ import _nothing_left
from contextlib import nullcontext
with {guard}:
    quiet = subprocess.DEVNULL
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    sleeper = subprocess.Popen(sleep, start_new_session=True, stdout=quiet, stderr=quiet)
    print(sleeper.pid, flush=True)
"""


@pytest.fixture
def places(tmp_path) -> Places:
    return Places(tmp_path, "127.0.0.1", 1, 2)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def prepared(monkeypatch, tmp_path, taken) -> Iterator[list[Places]]:
    """The demo's front door on a port somebody has; what it would prepare is noted, not done."""
    done: list[Places] = []
    monkeypatch.setenv("LYNCEUS_VAR", str(tmp_path))
    monkeypatch.setenv("LYNCEUS_PORT", str(taken))
    monkeypatch.setattr(front_door, "_prepare", done.append)
    monkeypatch.setattr(front_door.processes, "run", lambda places: 1)
    # It ends every child of this process: the tests' database is one.
    monkeypatch.setattr(front_door, "_nothing_left", contextlib.nullcontext)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield done
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_one_demo_over_one_folder(places) -> None:
    with (
        front_door._alone(places),
        pytest.raises(RuntimeError, match="already runs"),
        front_door._alone(places),
    ):
        pass


def test_without_the_lock_two_would_decide_side_by_side(places, monkeypatch) -> None:
    monkeypatch.setattr(front_door.fcntl, "flock", lambda *_: None)
    inside = []
    with front_door._alone(places), front_door._alone(places):
        inside.append(places)
    assert inside


def test_a_taken_port_is_found_before_anything_is_prepared(prepared, capsys, taken) -> None:
    assert front_door.main() == 1
    assert str(taken) in capsys.readouterr().err
    assert prepared == []


def test_without_that_look_it_would_train_first_and_fail_then(prepared, monkeypatch) -> None:
    monkeypatch.setattr(front_door, "_require_free", lambda *_: None)
    assert front_door.main() == 1
    assert len(prepared) == 1


def run_and_leave(guard: str) -> psutil.Process | None:
    """What is left of the child once its parent has ended."""
    parent = subprocess.run(
        [sys.executable, "-c", LEAVES_ONE.format(guard=guard)], cwd=ROOT, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    with contextlib.suppress(psutil.NoSuchProcess):
        left = psutil.Process(int(parent.stdout))
        return None if left.status() == psutil.STATUS_ZOMBIE else left
    return None


def test_nothing_outlives_it() -> None:
    assert run_and_leave("_nothing_left()") is None


def test_without_the_last_look_a_child_would_outlive_it() -> None:
    left = run_and_leave("nullcontext()")
    assert left is not None
    left.kill()
