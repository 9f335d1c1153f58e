"""Latencies as counts in bins of 5 %: added up, they still tell their percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping

LEAST_MS = 0.1
STEP = math.log(1.05)  # a percentile is right to 2.5 %


def bin_of(latency_ms: float) -> int:
    """0 up to LEAST_MS, then one for each 5 %."""
    return max(0, math.ceil(math.log(max(latency_ms, LEAST_MS) / LEAST_MS) / STEP))


def percentile_ms(counts: Mapping[int, int], q: float) -> float | None:
    """Of latencies counted by bin, None where there are none."""
    wanted, seen = q * (sum(counts.values()) - 1), 0
    for number in sorted(counts):
        seen += counts[number]
        if seen > wanted:
            return LEAST_MS * math.exp((number - 0.5) * STEP) if number else LEAST_MS
    return None
