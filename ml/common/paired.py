"""How two versions differ on the same cases: each draw of the bootstrap is put to both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.common.metrics import Ints, bootstrap_intervals

Measures = Callable[[Ints], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Difference:
    """The second's measure less the first's, and its interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def paired_differences(
    first: Measures, second: Measures, groups: Sequence[object] | npt.NDArray[np.generic], *, rounds: int,
    seed: int, level: float = 0.95,
) -> dict[str, Difference]:  # fmt: skip
    """Of every measure both know, by name, over resampled groups (patients or cards). What makes a case hard
    for both falls out of the difference, so that its interval is narrower than those of the two alone."""

    def apart(rows: Ints) -> dict[str, float | None]:
        one, other = first(rows), second(rows)
        return {name: _less(other[name], one[name]) for name in one if name in other}

    values = apart(np.arange(len(groups)))
    intervals = bootstrap_intervals(apart, groups, rounds=rounds, seed=seed, level=level)
    return {name: Difference(value, *intervals.get(name, (None, None))) for name, value in values.items()}


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
