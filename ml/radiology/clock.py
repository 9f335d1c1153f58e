"""Where an epoch's time goes."""

from __future__ import annotations

import time

import torch

PHASES = ("data", "forward", "backward", "optimizer")


class Clock:
    """On a GPU only every eighth step is waited for: waiting costs speed."""

    def __init__(self, cuda: bool) -> None:
        self.cuda, self.laps = cuda, 0
        self.spent = dict.fromkeys(PHASES, 0.0)
        self.last = time.perf_counter()

    def lap(self, phase: str) -> None:
        step = self.laps // len(PHASES)
        self.laps += 1
        watched = not self.cuda or step % 8 == 0
        if self.cuda and (watched or step % 8 == 7):
            torch.cuda.synchronize()
        current = time.perf_counter()
        if watched:
            self.spent[phase] += current - self.last
        self.last = current

    def shares(self) -> dict[str, float]:
        """Of the watched time, `share_<phase>` each."""
        total = sum(self.spent.values()) or 1.0
        return {f"share_{phase}": spent / total for phase, spent in self.spent.items()}
