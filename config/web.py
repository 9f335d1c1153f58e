"""The web server, in the demo and in production alike: `python -m config.web`.

Granian and not gunicorn: benchmarks/web_server.py has their WSGI workers side by side on our own doors. Its
event loop and not its WSGI threads, of which each request that waits for a decision would hold one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from config.settings.env import env, int_env

HEADERS_TIMEOUT_MS = 10_000
HEADERS_MAX_BYTES = 64 * 1024
GRACE_S = 4  # the demo's manager kills what has not ended after five seconds


def main() -> None:
    # Each web process counts in a file of its own here, so that whichever is asked answers for all.
    counts = tempfile.mkdtemp(prefix="lynceus-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
    try:
        server().serve()
    except ImproperlyConfigured as wrong:
        sys.exit(str(wrong))
    finally:
        shutil.rmtree(counts, ignore_errors=True)


def threads() -> int:
    """Of each process, for Django's pages."""
    return int_env("LYNCEUS_WEB_THREADS", 8, low=1, high=256)


def server() -> Any:  # which of granian's two servers it is depends on the interpreter's build
    threads()  # a wrong number is said here, once, and not by every process that is started
    return Granian(
        "config.asgi:application",
        address=env("LYNCEUS_HOST", "127.0.0.1"),
        port=int_env("LYNCEUS_PORT", 8000, low=1, high=65535),
        interface=Interfaces.ASGI,
        workers=int_env("LYNCEUS_WEB_WORKERS", 2, low=1, high=256),
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADERS_TIMEOUT_MS, max_buffer_size=HEADERS_MAX_BYTES
        ),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_S,
    )


if __name__ == "__main__":
    main()
