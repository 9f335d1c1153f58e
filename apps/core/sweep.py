"""What is overdue in the database gets its bell rung again. Apps register; one task walks the list."""

from __future__ import annotations

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)
Sweeper = Callable[[], int]
_sweepers: dict[str, Sweeper] = {}


def register_sweeper(name: str, sweeper: Sweeper) -> None:
    """`sweeper()` re-rings what is overdue and returns how many bells it rang."""
    _sweepers[name] = sweeper


def sweep_all() -> dict[str, int]:
    """Run every sweeper; one that fails does not keep the next from running."""
    rung: dict[str, int] = {}
    for name, sweeper in _sweepers.items():
        try:
            rung[name] = sweeper()
        except Exception:
            log.exception("sweeper_failed", sweeper=name)
            rung[name] = -1
    return rung
