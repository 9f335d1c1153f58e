"""Answers that may be a moment old: asked of the database again only after a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

from django.conf import settings

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")
KEPT_MAX = 10_000


def recently(ask: Callable[[Key], Answer | None]) -> Callable[[Key], Answer | None]:
    """`ask`, remembered for LYNCEUS_CALLER_CACHE_S. None is not remembered: what is new works at once."""
    kept: dict[Key, tuple[float, Answer]] = {}

    @wraps(ask)
    def answer(key: Key) -> Answer | None:
        at = time.monotonic()
        if (found := kept.get(key)) is not None and found[0] > at:
            return found[1]
        fresh = ask(key)
        if fresh is not None and settings.LYNCEUS_CALLER_CACHE_S > 0:
            if len(kept) >= KEPT_MAX:
                kept.clear()
            kept[key] = at + settings.LYNCEUS_CALLER_CACHE_S, fresh
        return fresh

    return answer
