"""How long a call takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

WARM_UP = 3


def median_ms(call: Callable[[], object], *, calls: int = 50, most_s: float = 5.0) -> float:
    """The median over `calls`, or as many as `most_s` holds, but five; after a few that are not counted."""
    for _ in range(WARM_UP):
        call()
    took: list[float] = []
    end = time.perf_counter() + most_s
    while len(took) < calls and (len(took) < 5 or time.perf_counter() < end):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1000)
    return median(took)
