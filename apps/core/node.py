"""Which Celery worker this process belongs to, and what a worker does before it hears its first bell."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

log = structlog.get_logger(__name__)
Beginning = Callable[[], object]
_name = ""
_beginnings: list[tuple[str, Beginning]] = []


def name_node(name: str) -> None:
    """Called once, before the worker's pool is made, so that its children know too."""
    global _name
    _name = name


def node_name() -> str:
    """`imaging@host`; empty in a process that is no worker's."""
    return _name


def register_beginning(queue: str, begin: Beginning) -> None:
    """`begin()` runs in each worker of the queue when it is ready, before its first task."""
    _beginnings.append((queue, begin))


def begin_all(queues: Collection[str]) -> None:
    """One that fails keeps nobody from working: it only was a preparation."""
    for queue, begin in _beginnings:
        if queue not in queues:
            continue
        try:
            begin()
        except Exception:
            log.exception("beginning_failed", queue=queue)
