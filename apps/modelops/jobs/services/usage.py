"""What this process takes of the machine."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import psutil

MIB = 1024 * 1024


@dataclass(slots=True)
class Usage:
    """`since_last()`: cores kept busy since the last call, memory in MiB, and of a graphics card's too where
    torch uses one. Never loads torch."""

    _wall: float = field(default_factory=time.monotonic)
    _busy: float = field(default_factory=time.process_time)
    _process: psutil.Process = field(default_factory=psutil.Process)

    def since_last(self) -> dict[str, float]:
        wall, busy = time.monotonic(), time.process_time()
        cores = (busy - self._busy) / max(wall - self._wall, 1e-3)
        self._wall, self._busy = wall, busy
        told = {"cores": round(cores, 2), "memory_mb": round(self._process.memory_info().rss / MIB)}
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            told["card_memory_mb"] = round(torch.cuda.memory_reserved() / MIB)
        return told
