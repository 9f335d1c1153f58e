"""A process that has imported everything and forks a training process for each one asked for.

An interpreter, Django and torch take seconds to start, and a job that is killed ten times starts eleven. Here
only that is saved: what trains, and is killed, is a process of its own each time, as run_job is.

python -m tests.modelops.domain.forks SOCKET
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# In place of manage.py: it hands its words, environment and streams over, and ends as that process ended.
ASK = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asking:
    asking.connect({path!r})
    message = json.dumps([sys.argv[1:], dict(os.environ)]).encode()
    socket.send_fds(asking, [message], [0, 1, 2])
    asking.shutdown(socket.SHUT_WR)
    for stream in (0, 1):
        os.close(stream)
    status = int(asking.recv(32) or 256)
if os.WIFSIGNALED(status):
    os.kill(os.getpid(), os.WTERMSIG(status))
os._exit(os.WEXITSTATUS(status))
"""


@contextmanager
def forking(folder: Path) -> Iterator[Path]:
    """The folder whose manage.py asks for a process, while there is one to ask."""
    from apps.modelops.jobs.services.runner import child_environment

    path, environment = folder / "forks.sock", {**os.environ, **child_environment()}
    (folder / "manage.py").write_text(ASK.format(path=str(path)))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        command = [sys.executable, "-m", "tests.modelops.domain.forks", str(listening.fileno())]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[listening.fileno()])
    try:
        yield folder
    finally:
        server.kill()
        server.wait()


def serve(listening: socket.socket) -> None:
    """One process at a time, until this one is killed."""
    while True:
        asking, _ = listening.accept()
        with asking:
            said, streams = b"", []
            while True:
                part, fds, _, _ = socket.recv_fds(asking, 1 << 20, 3)
                streams += fds
                if not part:
                    break
                said += part
            pid = os.fork()
            if pid == 0:
                listening.close()
                asking.close()
                become(*json.loads(said), streams)
            for stream in streams:
                os.close(stream)
            _, status = os.waitpid(pid, 0)
            asking.send(str(status).encode())


def become(words: list[str], environment: dict[str, str], streams: list[int]) -> None:
    """Never returns."""
    from django.core.management import call_command

    from tests.modelops.domain.killer import listen

    code = 1
    try:
        os.setsid()
        for stream, given in enumerate(streams):
            os.dup2(given, stream)
            os.close(given)
        os.environ.clear()
        os.environ.update(environment)
        listen()
        call_command(*words)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def main(descriptor: str) -> None:
    import django

    django.setup()
    from apps.modelops.registry import domain_named, load

    for domain in ("fraud", "radiology"):
        load(domain_named(domain).trainer)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    main(*sys.argv[1:])
