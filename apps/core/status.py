"""Checks that apps register. Readiness asks only for what this process needs; /status asks for all."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from apps.core.clock import now
from apps.core.models import LoadedPart
from apps.core.node import node_name
from apps.core.storage import room_left
from apps.core.words import counted

log = structlog.get_logger(__name__)
BEAT_SILENT_S = 30
QUEUES = ("realtime", "imaging", "training", "exchange", "shadow", "default")


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    ok: bool
    message: str
    seconds: float


Check = Callable[[], str]
_readiness: dict[str, Check] = {}
_status: dict[str, Check] = {}
Waiting = Callable[[], tuple[int, float | None]]
_queue_ages: dict[str, list[Waiting]] = {}


def register_check(name: str, check: Check, *, readiness: bool = False) -> None:
    """`check()` returns a sentence when well and raises when not."""
    (_readiness if readiness else _status)[name] = check


def register_queue_age(queue: str, ask: Waiting) -> None:
    """`ask()` returns (pending rows in the database, age of the oldest in seconds or None). Several parts may
    have work on one queue."""
    _queue_ages.setdefault(queue, []).append(ask)


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


def note_loaded(part: str, says: str) -> None:
    """This process has loaded a part, "fraud model" say. Never fails the caller."""
    process = node_name() or f"web@{socket.gethostname()}"
    try:
        with transaction.atomic():
            LoadedPart.objects.update_or_create(
                process=process, part=part, defaults={"says": says, "at": now()}
            )
    except DatabaseError as error:
        log.warning("loaded_part_not_noted", part=part, error=type(error).__name__)


def forget_loaded(process: str) -> None:
    """A process of this name starts anew: it has loaded nothing yet."""
    try:
        LoadedPart.objects.filter(process=process).delete()
    except DatabaseError as error:
        log.warning("loaded_parts_not_forgotten", process=process, error=type(error).__name__)


def loaded_parts(nodes: dict[str, list[str]] | None) -> list[dict[str, Any]]:
    """What each process loaded last. `alive` is None for the web, and without a broker."""
    rows = LoadedPart.objects.order_by("process", "part").values("process", "part", "says", "at")
    return [row | {"alive": _alive(str(row["process"]), nodes)} for row in rows]


def _alive(process: str, nodes: dict[str, list[str]] | None) -> bool | None:
    return None if nodes is None or process.startswith("web@") else process in nodes


def queue_ages() -> dict[str, tuple[int, float | None]]:
    """Per queue: rows that wait in the database, and the age of the oldest in seconds."""
    return {queue: _waiting(_queue_ages.get(queue, [])) for queue in QUEUES}


def _waiting(parts: list[Waiting]) -> tuple[int, float | None]:
    answers = [ask() for ask in parts]
    ages = [age_s for _, age_s in answers if age_s is not None]
    return sum(pending for pending, _ in answers), max(ages, default=None)


def queue_report(nodes: dict[str, list[str]] | None) -> list[dict[str, Any]]:
    """Per queue: workers that answered (None when the broker is away), rows pending, oldest age in s."""
    report = []
    for queue, (pending, oldest_s) in queue_ages().items():
        count = None if nodes is None else sum(queue in queues for queues in nodes.values())
        report.append({"name": queue, "workers": count, "pending": pending, "oldest_s": oldest_s})
    return report


def worker_nodes() -> dict[str, list[str]] | None:
    """The queues of each worker that answered, by node name; None when the broker is away."""
    try:
        _broker()  # inspecting alone retries for six seconds while the broker is away
        answer = current_app.control.inspect(timeout=0.5).active_queues()
    except Exception:  # the transport's own error types
        return None
    return {node: [queue["name"] for queue in queues] for node, queues in (answer or {}).items()}


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


@cache
def _migrations() -> str:
    """Once true it is remembered: new migrations come with new code, in a new process."""
    executor = MigrationExecutor(connection)
    if waiting := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError(f"{counted(len(waiting), 'migration')} not run: manage.py migrate")
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
    register_check("storage", room_left)
