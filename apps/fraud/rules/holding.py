"""Which thresholds hold at a moment: what one person tightened falls back by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.fraud.contracts import Thresholds


@dataclass(frozen=True, slots=True)
class Holding:
    """The newest first, the last one without an end if there is any."""

    steps: tuple[tuple[datetime | None, Thresholds], ...]

    def at(self, moment: datetime) -> Thresholds | None:
        """None: as the version was trained."""
        for until, limits in self.steps:
            if until is None or moment < until:
                return limits
        return None
