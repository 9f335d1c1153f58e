"""The one place that asks for the time, so that it can be held still: by a test, or to tell of the past."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from django.utils import timezone

_held: ContextVar[datetime | None] = ContextVar("held", default=None)


def now() -> datetime:
    """The present, timezone-aware, UTC."""
    return _held.get() or timezone.now()


@contextmanager
def held_at(moment: datetime) -> Iterator[None]:
    """Within it the present is `moment` (timezone-aware), in this thread alone."""
    token = _held.set(moment)
    try:
        yield
    finally:
        _held.reset(token)
