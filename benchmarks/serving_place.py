"""An installation to measure: a PostgreSQL of its own, a trained model in service, web and workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import psycopg

from benchmarks.report import ROOT
from tests.pgserver import started

PYTHON = str(ROOT / ".venv/bin/python")
SEED = """
import json, django; django.setup()
from demo import seed; seed.seed(); print(json.dumps([seed.api_token(), seed.SOURCE, seed.webhook_secret()]))
"""


@dataclass(frozen=True, slots=True)
class Place:
    environment: dict[str, str]
    database_url: str
    token: str
    source: str
    secret: str
    port: int


def prepared(var: Path, preset: str) -> Place:
    """With a fraud model of this preset in service."""
    place = installed(var)
    manage(place, "simulate_transactions", "--name", "serving", "--days", "60")
    manage(place, "train", "fraud", "--dataset", "serving", "--preset", preset, "--promote",
           "--json", str(var / "trained.json"))  # fmt: skip
    return place


def installed(var: Path, **settings: str) -> Place:
    """Migrated, with the demo's keys; no model."""
    url = started(var / "pg").get_uri()
    port = free_port()
    environment = {
        **os.environ, "LYNCEUS_VAR": str(var), "LYNCEUS_DEMO": "1", "DATABASE_URL": url, "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "config.settings.dev", "LYNCEUS_LOG_LEVEL": "ERROR",
        "LYNCEUS_PORT": str(port), **settings,
    }  # fmt: skip
    place = Place(environment, url, "", "", "", port)
    manage(place, "migrate", "--verbosity", "0")
    token, source, secret = json.loads(python(place, "-c", SEED).splitlines()[-1])
    return replace(place, token=token, source=source, secret=secret)


def manage(place: Place, *words: str) -> str:
    return python(place, "manage.py", *words)


def python(place: Place, *words: str) -> str:
    """What it printed."""
    done = subprocess.run(
        [PYTHON, *words], cwd=ROOT, env=place.environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, within_s: float = 60) -> None:
    """Until it answers 200; SystemExit where that does not come."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(0.1)
    raise SystemExit(f"{url} did not answer within {within_s:.0f} s.")


def listens(port: int, within_s: float = 60) -> None:
    """Until somebody does; SystemExit where that does not come."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"Nothing listens on port {port}.")


@contextmanager
def running(place: Place, *command: str, **settings: str) -> Iterator[psutil.Process]:
    started = subprocess.Popen([PYTHON, *command], cwd=ROOT, env={**place.environment, **settings})
    try:
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait()


@contextmanager
def web(place: Place, workers: int, threads: int) -> Iterator[psutil.Process]:
    settings = {"LYNCEUS_WEB_WORKERS": str(workers), "LYNCEUS_WEB_THREADS": str(threads)}
    with running(place, "-m", "config.web", **settings) as process:
        wait_for(f"http://127.0.0.1:{place.port}/readyz")
        yield process


@contextmanager
def worker(place: Place, number: int, queue: str = "realtime") -> Iterator[psutil.Process]:
    with running(
        place, "-m", "celery", "-A", "config", "worker", "-Q", queue, "-n", f"w{number}@%h", "-P", "solo",
        "--prefetch-multiplier", "1", "--loglevel", "ERROR",
    ) as process:  # fmt: skip
        yield process


def counted(place: Place, event_ids: list[str]) -> tuple[int, int, float]:
    """Of these events: how many were not decided, how many more than once, and the share not approved."""
    with psycopg.connect(place.database_url) as connection:
        rows = connection.execute(
            "SELECT t.event_id, count(d.id), bool_or(d.outcome <> 'approve') FROM fraud_transaction t "
            "LEFT JOIN fraud_decision d ON d.transaction_id = t.id "
            "WHERE t.event_id = ANY(%s) GROUP BY t.event_id",
            [event_ids],
        ).fetchall()
    decided = {event_id: int(count) for event_id, count, _ in rows}
    lost = sum(decided.get(event_id, 0) == 0 for event_id in event_ids)
    not_approved = sum(bool(one) for *_, one in rows) / max(1, len(rows))
    return lost, sum(count > 1 for count in decided.values()), not_approved


def any_pending(place: Place) -> bool:
    """Cheap to ask, so that asking costs those who work nothing."""
    with psycopg.connect(place.database_url) as connection:
        row = connection.execute("SELECT EXISTS (SELECT FROM fraud_transaction WHERE status = 'pending')")
        return bool(row.fetchall()[0][0])


def cpu_s(process: psutil.Process) -> float:
    """Its own, its living children's, and that of children which have ended."""
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # ended just now: it counts among the others next time
            total += sum(child.cpu_times()[:2])
    return float(total)


def memory_mb(process: psutil.Process) -> float:
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6


def postgres(place: Place) -> psutil.Process:
    pid_file = Path(place.environment["LYNCEUS_VAR"]) / "pg" / "postmaster.pid"
    return psutil.Process(int(pid_file.read_text().split()[0]))
