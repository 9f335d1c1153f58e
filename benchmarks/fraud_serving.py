"""How many decisions a second the doors carry, on PostgreSQL, with everything on this machine.

    python -m benchmarks.fraud_serving [--seconds 60] [--rates 300,500,1000,1300] [--peers VENV/bin/python]

Open loop: each request has a moment at which it is due, and its latency counts from then, however late it was
sent. Features, network, trees, reasons, rules and the commit are all in it. Everything answered is looked for
afterwards: `lost` and `duplicated` count what was not decided exactly once. With --peers, the comparison of
benchmarks/serving_peers.py follows on the same installation.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import report
from benchmarks.serving_history import history_row
from benchmarks.serving_load import Load, Sent, send
from benchmarks.serving_peers import PEER_ROUNDS, PEER_SECONDS, Compared, compare
from benchmarks.serving_place import (
    Place,
    any_pending,
    counted,
    cpu_s,
    memory_mb,
    postgres,
    prepared,
    running,
    web,
    worker,
)
from ml.fraud.importing import load_frozen
from ml.fraud.replay import events_in, labels_in, replay

DEADLINE_MS = 2000  # the time is measured, not what is left out to keep it
KEPT_UP = 0.98  # of the wanted rate, answered in the time, is sustained
BATCH = 100  # events a request at the webhook door
DRAIN_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rates", default="300,500,1000,1300")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--web-workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--peers", default="", help="the peers' interpreter, to be compared with them too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as var:
        place = prepared(Path(var), given.preset)
        with web(place, given.web_workers, given.threads) as server:
            send(Load("decisions", 50, 4), place.port, headers(place))  # warm
            table = [sync_row(place, server, float(rate), given.seconds) for rate in given.rates.split(",")]
            webhook = webhook_row(place, server, given.seconds)
            history = history_row(place, server, headers(place), place.secret)
        replayed = replay_events_per_s(place)
        peers = Compared([], [], {})
        if given.peers:
            peers = compare(place, given.peers, PEER_SECONDS, PEER_ROUNDS)
    kept = [row["answered_per_s"] for row in table if row["answered_per_s"] >= KEPT_UP * row["rate"]]
    at_500 = [row["p99_ms"] for row in table if row["rate"] == 500]
    measures = {
        "sync_sustained_per_s": max(kept, default=0.0),
        "sync_most_per_s": max(row["answered_per_s"] for row in table),
        "webhook_accept_per_s": webhook["answered_per_s"],
        "webhook_decide_per_s": webhook["decided_per_s"],
        "lost": sum(row["lost"] for row in [*table, webhook]),
        "duplicated": sum(row["duplicated"] for row in [*table, webhook]),
        "full_share": min(row["full_share"] for row in table),
        "cost_ratio_10k_vs_10": history["cost_ratio_10k_vs_10"],
        "replay_events_per_s_core": replayed,
        **({"sync_p99_ms_at_500": at_500[0]} if at_500 else {}),
        **{name: value for name, value in peers.measures.items() if name.endswith("_best_peer")},
    }
    report(
        "fraud_serving", [*table, webhook, history], measures, web_workers=given.web_workers,
        threads=given.threads, seconds=given.seconds, preset=given.preset, deadline_ms=DEADLINE_MS,
        peers=peers.table, peers_sweep=peers.sweep,
    )  # fmt: skip


def replay_events_per_s(place: Place) -> float:
    """The model's own events and labels through the reducer: events a CPU second of one core."""
    [dataset] = (Path(place.environment["LYNCEUS_VAR"]) / "datasets").glob("*/fraud/serving")
    frame, _ = load_frozen(dataset)
    events, labels = list(events_in(frame)), list(labels_in(frame))
    rates = []
    for _ in range(3):
        begun = time.process_time()
        replay(events, labels, len(frame), lambda event: None)
        rates.append(len(frame) / (time.process_time() - begun))
    return statistics.median(rates)


def headers(place: Place) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {place.token}", "lynceus-source": place.source,
        "lynceus-deadline-ms": str(DEADLINE_MS),
    }  # fmt: skip


def sync_row(place: Place, server: psutil.Process, rate: float, seconds: float) -> dict[str, Any]:
    database = postgres(place)
    before = cpu_s(server), cpu_s(database)
    sent = send(Load("decisions", rate, seconds), place.port, headers(place))
    return {"door": "decisions", "rate": rate} | _row(place, sent) | _costs(server, database, before, sent)


def _row(place: Place, sent: Sent) -> dict[str, Any]:
    latencies = sorted(sent.latencies_ms)
    lost, duplicated, not_approved = counted(place, sent.answered)
    return {
        "answered_per_s": len(sent.answered) / sent.took_s,
        "p50_ms": statistics.median(latencies),
        "p99_ms": latencies[int(0.99 * len(latencies))],
        "failed": sent.failed, "lost": lost, "duplicated": duplicated, "not_approved_share": not_approved,
        "full_share": sent.modes.get("full", 0) / max(1, sum(sent.modes.values())),
    }  # fmt: skip


def _costs(
    server: psutil.Process, database: psutil.Process, before: tuple[float, float], sent: Sent
) -> dict[str, float]:
    """CPU-ms an event of the web processes, the database and the sender, and the web's memory."""
    n = max(1, len(sent.answered))
    return {
        "web_cpu_ms": (cpu_s(server) - before[0]) / n * 1e3,
        "postgres_cpu_ms": (cpu_s(database) - before[1]) / n * 1e3,
        "sender_cpu_ms": sent.cpu_s / n * 1e3,
        "web_rss_mb": memory_mb(server),
    }


def webhook_row(place: Place, server: psutil.Process, seconds: float) -> dict[str, Any]:
    """As fast as the door takes batches, decided meanwhile and afterwards by one worker."""
    with ExitStack() as stack:
        stack.enter_context(running(place, "-m", "demo.redis"))
        stack.enter_context(worker(place, 1))
        time.sleep(3)  # the worker's own start is not measured
        database = postgres(place)
        before = cpu_s(server), cpu_s(database)
        load = Load("transactions", 30, seconds, events=BATCH, connections=4)
        begun = time.perf_counter()
        sent = send(load, place.port, {"lynceus-source": place.source}, place.secret)
        end = time.monotonic() + DRAIN_S
        while any_pending(place) and time.monotonic() < end:
            time.sleep(0.2)
        took = time.perf_counter() - begun
        row = {"door": "transactions", "rate": load.rate * BATCH} | _row(place, sent)
        costs = _costs(server, database, before, sent)
    del row["full_share"]
    return {**row, **costs, "decided_per_s": (len(sent.answered) - row["lost"]) / took}


if __name__ == "__main__":
    main()
