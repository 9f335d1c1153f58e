"""Start a side of the comparison, ours or a peer's, ask it, and end every process of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.peers import writing
from benchmarks.report import ROOT
from benchmarks.serving_closed import Brought, Errand, send_closed
from benchmarks.serving_place import PYTHON, Place, cpu_s, free_port, memory_mb, postgres, wait_for

PEERS = ("fastapi", "litserve", "bentoml")
OURS = "lynceus"
THREADS = 8  # of ours, as it is shipped; what waits for a decision holds none
DEADLINE_MS = 2000  # the time is measured, not what is left out to keep it
WAIT_MS = 2.0  # how long FastAPI's queue and LitServe wait for company; BentoML finds its own
WARM_S = 1.5
END_S = 15.0


@dataclass(frozen=True, slots=True)
class Setup:
    """`batch`: the most events that are taken together. `durable`, of a peer: whether it writes."""

    side: str
    workers: int
    batch: int
    durable: bool

    @property
    def mode(self) -> str:
        return "durable" if self.durable else "model_only"


@contextmanager
def serving(setup: Setup, place: Place, python: str) -> Iterator[tuple[psutil.Process, Errand]]:
    """Its process, and how it is asked. When this ends, so have all of its processes."""
    if setup.side == OURS:
        errand = Errand(place.port, "/api/v1/decisions", headers=_our_headers(place))
        command, environment, ready = [PYTHON, "-m", "config.web"], _our_environment(setup, place), "readyz"
    else:
        writing.create(place.database_url)
        errand = Errand(free_port(), "/score", listed=setup.side == "bentoml")
        command, environment = _peer_command(setup, python, errand.port), _peer_environment(setup, place)
        environment["PEER_PORT"] = str(errand.port)
        ready = "readyz" if setup.side == "bentoml" else "ready"
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # none is due because of who came before
    said = Path(place.environment["LYNCEUS_VAR"]) / f"{setup.side}.log"
    with said.open("wb") as log:
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    process = psutil.Process(started.pid)
    try:
        try:
            wait_for(f"http://127.0.0.1:{errand.port}/{ready}")
        except SystemExit as error:
            raise SystemExit(f"{error} {setup}: {said.read_text(errors='replace')[-2000:]}") from None
        yield process, errand
    finally:
        _end(process)


def _end(process: psutil.Process) -> None:
    """Not all of them take their children with them."""
    family = [process, *process.children(recursive=True)]
    process.terminate()
    psutil.wait_procs([process], timeout=END_S)
    for left in psutil.wait_procs(family, timeout=1)[1]:
        left.kill()
    psutil.wait_procs(family, timeout=END_S)
    if alive := [one.pid for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]:
        raise SystemExit(f"Processes {alive} did not end.")


def _our_headers(place: Place) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {place.token}", "lynceus-source": place.source,
        "lynceus-deadline-ms": str(DEADLINE_MS),
    }  # fmt: skip


def _our_environment(setup: Setup, place: Place) -> dict[str, str]:
    return {
        **place.environment, "LYNCEUS_WEB_WORKERS": str(setup.workers), "LYNCEUS_WEB_THREADS": str(THREADS),
    }  # fmt: skip


def _peer_command(setup: Setup, python: str, port: int) -> list[str]:
    if setup.side == "bentoml":
        service = "benchmarks.peers.bentoml_peer:Peer"
        return [python, "-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", str(port)]
    return [python, "-m", f"benchmarks.peers.{setup.side}_peer"]


def _peer_environment(setup: Setup, place: Place) -> dict[str, str]:
    """None of them calls home, none logs requests."""
    var = place.environment["LYNCEUS_VAR"]
    return {
        **os.environ, "PYTHONPATH": str(ROOT), "PEER_ARTEFACT": str(artefact(place)),
        "PEER_WORKERS": str(setup.workers), "PEER_BATCH": str(setup.batch), "PEER_WAIT_MS": str(WAIT_MS),
        "PEER_DATABASE": place.database_url if setup.durable else "",
        "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": f"{var}/bentoml", "OTEL_SDK_DISABLED": "true",
    }  # fmt: skip


def artefact(place: Place) -> Path:
    """Of the version in service."""
    with psycopg.connect(place.database_url) as connection:
        row = connection.execute(
            "SELECT v.artefact_hash FROM modelops_modelversion v"
            " JOIN modelops_model m ON m.champion_id = v.id WHERE m.domain = 'fraud'"
        ).fetchone()
    if row is None:
        raise SystemExit("No fraud model is in service.")
    return Path(place.environment["LYNCEUS_VAR"]) / "artefacts" / str(row[0])


def measured(
    setup: Setup, place: Place, python: str, seconds: float, asked: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, float]]:
    """One round of one side, and the scores it gave the events `asked`, by their ids."""
    with serving(setup, place, python) as (server, errand):
        scores = _scores(send_closed(replace(errand, events=asked)).answers) if asked else {}
        warm = send_closed(replace(errand, seconds=WARM_S))
        database = postgres(place)
        before = cpu_s(server), cpu_s(database)
        brought = send_closed(replace(errand, seconds=seconds))
        used = cpu_s(server) - before[0], cpu_s(database) - before[1]
        row = {
            "side": setup.side, "mode": "whole" if setup.side == OURS else setup.mode,
            "workers": setup.workers, "batch": setup.batch, **_figures(brought, *used),
            "rss_mb": memory_mb(server),
        }  # fmt: skip
    if setup.durable and setup.side != OURS:
        row["unwritten"] = len(asked) + warm.answered + brought.answered - writing.stored(place.database_url)
    return row, scores


def _scores(answers: list[dict[str, Any]]) -> dict[str, float]:
    return {answer["event_id"]: answer["score"] for answer in answers}


def _figures(brought: Brought, server_s: float, database_s: float) -> dict[str, float]:
    """Rate, latencies, and CPU-ms an answered request."""
    n, latencies = max(1, brought.answered), brought.latencies_ms or [0.0]
    return {
        "per_s": brought.answered / brought.took_s,
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[int(0.99 * len(latencies))],
        "server_cpu_ms": server_s / n * 1e3,
        "postgres_cpu_ms": database_s / n * 1e3,
        "sender_cpu_ms": brought.cpu_s / n * 1e3,
        "failed": brought.failed,
        "not_full": sum(count for mode, count in brought.modes.items() if mode != "full"),
    }
