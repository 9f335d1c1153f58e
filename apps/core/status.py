"""Checks that apps register. Readiness asks only for what this process needs; /status asks for all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEAT_SILENT_S = 30
QUEUES = ("realtime", "imaging", "training", "default")


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    ok: bool
    message: str
    seconds: float


Check = Callable[[], str]
_readiness: dict[str, Check] = {}
_status: dict[str, Check] = {}
_queue_ages: dict[str, Callable[[], tuple[int, float | None]]] = {}


def register_check(name: str, check: Check, *, readiness: bool = False) -> None:
    """`check()` returns a sentence when well and raises when not."""
    (_readiness if readiness else _status)[name] = check


def register_queue_age(queue: str, ask: Callable[[], tuple[int, float | None]]) -> None:
    """`ask()` returns (pending rows in the database, age of the oldest in seconds or None)."""
    _queue_ages[queue] = ask


def run_checks(*, everything: bool) -> list[CheckResult]:
    checks = {**_readiness, **_status} if everything else _readiness
    return [_run(name, check) for name, check in checks.items()]


def _run(name: str, check: Check) -> CheckResult:
    start = time.perf_counter()
    try:
        ok, message = True, check()
    except Exception as error:
        # The type alone: a driver's message may hold a connection string.
        ok, message = False, str(error) if isinstance(error, RuntimeError) else type(error).__name__
    return CheckResult(name, ok, message, time.perf_counter() - start)


def queue_report() -> list[dict[str, Any]]:
    """Per queue: workers that answered (None when the broker is away), rows pending, oldest age in s."""
    workers = _workers_by_queue()
    report = []
    for queue in QUEUES:
        pending, oldest_s = _queue_ages[queue]() if queue in _queue_ages else (0, None)
        count = None if workers is None else workers.get(queue, 0)
        report.append({"name": queue, "workers": count, "pending": pending, "oldest_s": oldest_s})
    return report


def _workers_by_queue() -> dict[str, int] | None:
    try:
        _broker()  # inspecting alone retries for six seconds while the broker is away
        answer = current_app.control.inspect(timeout=0.5).active_queues()
    except Exception:  # the transport's own error types
        return None
    counts: dict[str, int] = {}
    for queues in (answer or {}).values():
        for queue in queues:
            counts[queue["name"]] = counts.get(queue["name"], 0) + 1
    return counts


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    if waiting := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError(f"{len(waiting)} migrations have not run: manage.py migrate")
    return "all applied"


def _demo_gate() -> str:
    if settings.LYNCEUS_DEMO_GATE and not Path(settings.LYNCEUS_DEMO_GATE).is_file():
        raise RuntimeError("the demo is still being prepared")
    return "open"


def _broker() -> str:
    with current_app.connection_for_read() as broker:
        broker.ensure_connection(max_retries=0, timeout=1)
    return "answers"


def _beat() -> str:
    try:
        age_s = time.time() - Path(settings.BEAT_PULSE_PATH).stat().st_mtime
    except FileNotFoundError:
        raise RuntimeError("has never run here: nothing re-rings what a lost message left waiting") from None
    if age_s > BEAT_SILENT_S:
        raise RuntimeError(f"silent for {age_s:.0f} s: nothing re-rings what a lost message left waiting")
    return f"last heard {age_s:.0f} s ago"


def register_own_checks() -> None:
    register_check("database", _database, readiness=True)
    register_check("migrations", _migrations, readiness=True)
    register_check("demo", _demo_gate, readiness=True)
    register_check("broker", _broker)
    register_check("beat", _beat)
