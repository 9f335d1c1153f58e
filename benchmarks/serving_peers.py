"""Our synchronous door beside FastAPI, LitServe and BentoML round the same model, on this machine.

    python -m benchmarks.serving_peers --python VENV/bin/python [--seconds 8] [--rounds 4]

VENV holds benchmarks/peers/requirements.txt. A closed loop of 64 connections sends events as our door takes
them, each with a card and a terminal never seen. Each peer serves the same artefact in two modes: model_only,
and durable, where it also writes what a plain service would keep to the same PostgreSQL, one COMMIT a batch,
before it answers. Ours is always the whole product. First a sweep finds each side's best workers and batch.
Then all must give the same events the same scores, to the last bit. Then the best of each side take turns,
forwards and backwards.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import report
from benchmarks.serving_closed import lone_event
from benchmarks.serving_place import Place, prepared
from benchmarks.serving_sides import OURS, PEERS, THREADS, WAIT_MS, Setup, measured

WORKERS = (1, 2)
BATCHES = (1, 16, 64)
OUR_BATCH = 64  # the most our door takes together; no setting
SAME_EVENTS = 200
SWEEP_S = 4.0
PEER_SECONDS, PEER_ROUNDS = 8.0, 4  # an even number has each order as often
MODES = {"durable": True, "model_only": False}
FIGURES = ("per_s", "p50_ms", "p99_ms", "server_cpu_ms", "postgres_cpu_ms", "sender_cpu_ms", "rss_mb")
COUNTS = ("failed", "not_full", "unwritten")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Compared:
    sweep: list[Row]
    table: list[Row]
    measures: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the peers' interpreter")
    parser.add_argument("--seconds", type=float, default=PEER_SECONDS)
    parser.add_argument("--rounds", type=int, default=PEER_ROUNDS)
    parser.add_argument("--preset", default="demo")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as var:
        compared = compare(prepared(Path(var), given.preset), given.python, given.seconds, given.rounds)
    report(
        "serving_peers", compared.table, compared.measures, sweep=compared.sweep, rounds=given.rounds,
        seconds=given.seconds, sweep_seconds=SWEEP_S, preset=given.preset, threads=THREADS, wait_ms=WAIT_MS,
    )  # fmt: skip


def compare(place: Place, python: str, seconds: float, rounds: int) -> Compared:
    swept = [(setup, one_round(setup, place, python, SWEEP_S)) for setup in sweep()]
    sides = best(swept)
    same = [lone_event() for _ in range(SAME_EVENTS)]
    require_equal(sides, place, python, same)
    runs: list[tuple[Setup, Row]] = []
    for number in range(rounds):
        order = sides if number % 2 == 0 else sides[::-1]
        runs += [(setup, one_round(setup, place, python, seconds)) for setup in order]
    by_side = {setup: [row for other, row in runs if other == setup] for setup in sides}
    table = [summary(rows) for rows in by_side.values()]
    return Compared([row for _, row in swept], table, ratios(by_side))


def sweep() -> list[Setup]:
    ours = [Setup(OURS, workers, OUR_BATCH, True) for workers in WORKERS]
    return ours + [
        Setup(side, workers, batch, durable)
        for durable in MODES.values()
        for side in PEERS
        for workers in WORKERS
        for batch in BATCHES
    ]


def one_round(setup: Setup, place: Place, python: str, seconds: float) -> Row:
    row, _ = measured(setup, place, python, seconds, [])
    shown = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, float))
    sys.stdout.write(f"{setup.side} {setup.mode} workers {setup.workers} batch {setup.batch}: {shown}\n")
    sys.stdout.flush()
    if any(row.get(name) for name in COUNTS):
        sys.stdout.write(f"  of these {', '.join(f'{name} {row[name]}' for name in COUNTS if name in row)}\n")
    return row


def best(swept: Sequence[tuple[Setup, Row]]) -> list[Setup]:
    """Ours first, then each peer's fastest of each mode that lost nothing."""
    kinds = [(OURS, True), *((side, durable) for durable in MODES.values() for side in PEERS)]
    whole = [(setup, row) for setup, row in swept if not row["failed"] and not row.get("unwritten")]
    found = []
    for kind in kinds:
        rates = {setup: row["per_s"] for setup, row in whole if (setup.side, setup.durable) == kind}
        if not rates:
            raise SystemExit(f"{kind[0]} answered no sweep without a failure.")
        found.append(max(rates, key=lambda setup: rates[setup]))
    return found


def require_equal(sides: Sequence[Setup], place: Place, python: str, events: list[dict[str, Any]]) -> None:
    """The same events to each: SystemExit unless their scores are the same numbers."""
    wanted: dict[str, float] = {}
    for setup in sides:
        _, scores = measured(setup, place, python, 1, events)
        wanted = wanted or scores
        if len(scores) != len(events) or scores != wanted:
            raise SystemExit(f"{setup.side} ({setup.mode}) scores the same events otherwise than {OURS}.")
    sys.stdout.write(f"{len(events)} events, {len(sides)} sides: equal scores.\n")


def summary(rows: Sequence[Row]) -> Row:
    """Median, least and most of each figure over the rounds."""
    told = {key: rows[0][key] for key in ("side", "mode", "workers", "batch")}
    for figure in FIGURES:
        values = [row[figure] for row in rows]
        told |= {
            figure: statistics.median(values),
            f"{figure}_low": min(values),
            f"{figure}_high": max(values),
        }
    return told | {count: sum(row.get(count, 0) for row in rows) for count in COUNTS}


def ratios(by_side: dict[Setup, list[Row]]) -> dict[str, float]:
    """Ours to each peer of the same round: median, least and most. The best peer leaves us the least."""
    ours = next(rows for setup, rows in by_side.items() if setup.side == OURS)
    told: dict[str, float] = {}
    for mode, durable in MODES.items():
        each = {
            setup.side: [mine["per_s"] / theirs["per_s"] for mine, theirs in zip(ours, rows, strict=True)]
            for setup, rows in by_side.items()
            if setup.side != OURS and setup.durable == durable
        }
        told[f"ratio_{mode}_vs_best_peer"] = min(statistics.median(values) for values in each.values())
        for side, values in each.items():
            told[f"ratio_{mode}_vs_{side}"] = statistics.median(values)
            told[f"ratio_{mode}_vs_{side}_low"] = min(values)
            told[f"ratio_{mode}_vs_{side}_high"] = max(values)
    return told


if __name__ == "__main__":
    main()
