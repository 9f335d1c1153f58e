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

    def parts(self) -> dict[str, float]:
        """`share_<phase>` of the watched time, and `seconds_<phase>` of all, which are as many times those
        watched as there were steps to each that was."""
        total = sum(self.spent.values()) or 1.0
        steps = self.laps // len(PHASES)
        times = steps / max(1, -(-steps // 8)) if self.cuda else 1.0
        return {f"share_{phase}": spent / total for phase, spent in self.spent.items()} | {
            f"seconds_{phase}": spent * times for phase, spent in self.spent.items()
        }
