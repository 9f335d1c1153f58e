"""`make demo`. Ends with every process it started, whichever way it ends."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

from demo import processes
from demo.places import ROOT, Places, size

GRACE_S = 12.0


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        places = Places.from_environment()
        size()
        places.var.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(places), _nothing_left():
            places.summary.unlink(missing_ok=True)
            for name, port in (("LYNCEUS_PORT", places.port), ("LYNCEUS_DICOM_PORT", places.dicom_port)):
                _require_free(name, places.host, port)
            _prepare(places)
            code = processes.run(places)
            places.summary.unlink(missing_ok=True)
        return code
    except (ValueError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Stopped:
        return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Two demos over one data folder would decide twice: the second is turned away."""
    with (places.var / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(
                f"A demo already runs over {places.var}: stop it, or set LYNCEUS_VAR."
            ) from None
        yield


def _require_free(name: str, host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise RuntimeError(f"Port {port} is taken: set {name} to a free one.") from None


def _prepare(places: Places) -> None:
    command = [sys.executable, "-m", "demo.prepare"]
    step = subprocess.Popen(command, cwd=ROOT, env=places.environment())  # noqa: S603 - our own module
    try:
        code = step.wait()
    except Stopped:
        # It may be training: it leaves a checkpoint and lets go of its job, so that the next start goes on.
        step.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            step.wait(timeout=GRACE_S)
        raise
    if code:
        raise RuntimeError(f"The demo could not be prepared (exit code {code}): see above.")


@contextmanager
def _nothing_left() -> Iterator[None]:
    """Training runs in a session of its own and could outlive us by seconds: it is not left to that."""
    os.environ["LYNCEUS_DEMO_RUN"] = str(os.getpid())
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        left = _descendants()
        for process in left:
            _signal(process, signal.SIGTERM)
        _, alive = psutil.wait_procs(left, timeout=GRACE_S)
        for process in alive:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=GRACE_S)


def _descendants() -> list[psutil.Process]:
    """Ours by birth, and by the mark in their environment where a parent died between."""
    found = {process.pid: process for process in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("LYNCEUS_DEMO_RUN") == str(os.getpid()):
                found[process.pid] = process
        except psutil.Error:
            continue  # another user's process, or one that just ended
    return list(found.values())


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    sys.exit(main())
