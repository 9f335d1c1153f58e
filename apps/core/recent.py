"""Answers that may be a moment old: asked of the database again only after a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import wraps
from typing import Generic, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError

from apps.core.aside import own_connection

log = structlog.get_logger(__name__)
Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")
KEPT_MAX = 10_000
# Has a connection of its own. No thread starts before something is in use for half its time.
_beside = ThreadPoolExecutor(1, thread_name_prefix="recent")


@dataclass(slots=True)
class _Kept(Generic[Answer]):
    answer: Answer
    until: float
    renew_at: float


def recently(ask: Callable[[Key], Answer | None]) -> Callable[[Key], Answer | None]:
    """`ask`, remembered for LYNCEUS_CALLER_CACHE_S. None is not remembered: what is new works at once.

    What is in use is asked again beside when half that time is over, so that nobody has to wait for it.
    """
    kept: dict[Key, _Kept[Answer]] = {}

    def fresh(key: Key) -> Answer | None:
        at, lasts_s = time.monotonic(), settings.LYNCEUS_CALLER_CACHE_S
        found = ask(key)
        if found is None or lasts_s <= 0:
            kept.pop(key, None)
            return found
        if len(kept) >= KEPT_MAX:
            kept.clear()
        kept[key] = _Kept(found, at + lasts_s, at + lasts_s / 2)
        return found

    def renew(key: Key) -> None:
        with own_connection():
            try:
                fresh(key)
            except DatabaseError as error:  # what is kept runs out, and whoever needs it meets the error
                log.warning("not_renewed", error=type(error).__name__)

    @wraps(ask)
    def answer(key: Key) -> Answer | None:
        at, found = time.monotonic(), kept.get(key)
        if found is None or at >= found.until:
            return fresh(key)
        if at >= found.renew_at:
            found.renew_at = found.until
            _beside.submit(renew, key)
        return found.answer

    return answer
