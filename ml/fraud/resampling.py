"""Sums and ratios over days or hours, with 95 % intervals over as many of them drawn again and again.

Without an interval where fewer than ENOUGH of them hold anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.fraud.operating import ROUNDS, Estimate

ENOUGH = 5  # of them that hold anything: fewer do not tell how much they differ
Floats = npt.NDArray[np.float64]


def sum_of(values: Sequence[float], seed: int = 0) -> Estimate:
    given = np.asarray(values, np.float64)
    if np.count_nonzero(given) < ENOUGH:
        return Estimate(float(given.sum()))
    low, high = np.quantile(_draws(len(given), seed) @ given, [0.025, 0.975])
    return Estimate(float(given.sum()), float(low), float(high))


def ratio_of(over: Sequence[float], under: Sequence[float], seed: int = 0) -> Estimate:
    """Both are drawn together; None where there is nothing under it."""
    above, below = np.asarray(over, np.float64), np.asarray(under, np.float64)
    if not below.sum():
        return Estimate(None)
    value = float(above.sum() / below.sum())
    draws = _draws(len(below), seed)
    tops, bottoms = draws @ above, draws @ below
    defined = bottoms > 0
    if np.count_nonzero(below) < ENOUGH or defined.sum() < ROUNDS / 2:
        return Estimate(value)
    low, high = np.quantile(tops[defined] / bottoms[defined], [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _draws(n: int, seed: int) -> Floats:
    """(ROUNDS, n): how often each is drawn."""
    draws: Floats = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), ROUNDS).astype(np.float64)
    return draws
