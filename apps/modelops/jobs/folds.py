"""What the folds of a cross-validation came to: where they stand, and the mean of what they measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.modelops.common.measures import HEADLINES, Cell, title_of
from apps.modelops.models import TrainingJob

Status = TrainingJob.Status
# Student's t, 97.5 %, by degrees of freedom from 1.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
SHOWN = (*HEADLINES, "accuracy", "brier", "ece")
# The first of these that a job of it has; otherwise all of them succeeded.
TELLING = (Status.RUNNING, Status.QUEUED, Status.PAUSED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure over `n` folds; `deviation` and the interval need two, `mean` its 95 % interval."""

    title: str
    n: int
    mean: Cell
    deviation: float | None
    lowest: float
    highest: float


def status_of(jobs: Sequence[TrainingJob]) -> str:
    """Of the whole, as one job's."""
    there = {job.status for job in jobs}
    return next((one for one in TELLING if one in there), Status.SUCCEEDED)


def measures_shown(jobs: Sequence[TrainingJob]) -> list[str]:
    """Names of the measures that at least one fold has."""
    return [name for name in SHOWN if _values(jobs, name)]


def spreads_of(jobs: Sequence[TrainingJob]) -> list[Spread]:
    """Of each measure over the folds that are done."""
    ratio = _scored_to_taught(jobs)
    return [_spread(title_of(name), _values(jobs, name), ratio) for name in measures_shown(jobs)]


def as_json(jobs: Sequence[TrainingJob]) -> dict[str, Any]:
    """Mean, deviation and interval by measure, for programs."""
    ratio = _scored_to_taught(jobs)
    found = {name: _spread(name, _values(jobs, name), ratio) for name in measures_shown(jobs)}
    return {
        name: {
            "mean": one.mean.value, "deviation": one.deviation, "interval": [one.mean.low, one.mean.high],
            "n": one.n,
        }
        for name, one in found.items()
    }  # fmt: skip


def _values(jobs: Sequence[TrainingJob], name: str) -> list[float]:
    measured: list[Mapping[str, Any]] = [job.measured for job in jobs if job.measured]
    return [float(one[name]) for one in measured if one.get(name) is not None]


def _scored_to_taught(jobs: Sequence[TrainingJob]) -> float:
    ratios = [one["n"] / (one["n_train"] + one["n_choose"]) for job in jobs if (one := job.measured)]
    return sum(ratios) / len(ratios) if ratios else 0.0


def _spread(title: str, values: Sequence[float], ratio: float) -> Spread:
    """Folds share what they learn from, so their values are not independent: the variance of the mean is
    corrected by the ratio of what is scored to what teaches (Nadeau and Bengio 2003). Every measure shown
    lies between 0 and 1, and so does its interval."""
    n, mean = len(values), sum(values) / len(values)
    if n < 2:
        return Spread(title, n, Cell(mean), None, min(values), max(values))
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = T_975[n - 2] * math.sqrt(variance * (1 / n + ratio))
    cell = Cell(mean, max(0.0, mean - half), min(1.0, mean + half))
    return Spread(title, n, cell, math.sqrt(variance), min(values), max(values))
