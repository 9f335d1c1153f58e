"""The web server, in the demo and in production alike."""

import os
import shutil
import tempfile
from typing import Any

from prometheus_client import multiprocess

host = os.environ.get("LYNCEUS_HOST") or "127.0.0.1"
port = os.environ.get("LYNCEUS_PORT") or "8000"
bind = f"{host}:{port}"
worker_class = "gthread"
workers = int(os.environ.get("LYNCEUS_WEB_WORKERS") or 2)
threads = int(os.environ.get("LYNCEUS_WEB_THREADS") or 8)
timeout = 60
graceful_timeout = 4  # the demo's manager kills what has not ended after five seconds
keepalive = 30
control_socket_disable = True

# Each web process counts in a file of its own here, so that whichever is asked answers for all.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="lynceus-metrics-"))


def child_exit(server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
