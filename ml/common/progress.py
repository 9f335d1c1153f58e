"""How fast a loop goes and how long it still takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ticker:
    """Counts items (images or rows) of a loop of `total` items; smooths the rate over recent calls."""

    total: int
    done: int = 0
    rate: float | None = None  # items per second
    _last: float = field(default_factory=time.monotonic)

    def add(self, items: int) -> None:
        current = time.monotonic()
        elapsed, self._last = current - self._last, current
        self.done += items
        if elapsed > 0:
            instant = items / elapsed
            self.rate = instant if self.rate is None else 0.8 * self.rate + 0.2 * instant

    @property
    def eta_s(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate else None
