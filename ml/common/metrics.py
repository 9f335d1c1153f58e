"""Measures of a binary classifier. Scores (n,), labels 0/1 (n,); undefined measures are None.

`weights` (n,): how many cases each stands for, where they were drawn; None is one each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Z95 = 1.959964  # of a two-sided 95 % interval
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


def roc_auc(labels: Ints, scores: Floats, weights: Floats | None = None) -> float | None:
    """The chance that a positive outranks a negative, ties counting half. None with one class."""
    positive = _weighed(labels == 1, weights)
    negative = _weighed(labels != 1, weights)
    if not positive.sum() or not negative.sum():
        return None
    _, inverse = np.unique(scores, return_inverse=True)
    of_score, below = np.bincount(inverse, positive), np.bincount(inverse, negative)
    outranked = np.cumsum(below) - below / 2
    return float(np.sum(of_score * outranked) / (positive.sum() * negative.sum()))


def average_precision(labels: Ints, scores: Floats, weights: Floats | None = None) -> float | None:
    """Sum of precision over the steps of recall, as scikit-learn defines it. None without positives."""
    positive = _weighed(labels == 1, weights)
    if not positive.sum():
        return None
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum(positive[order])
    seen = np.cumsum(_weighed(np.ones(len(labels), bool), weights)[order])
    last_of_tie = np.append(np.diff(sorted_scores) != 0, True) & (seen > 0)
    hits, seen = hits[last_of_tie], seen[last_of_tie]
    recall_step = np.diff(hits, prepend=0) / positive.sum()
    return float(np.sum(recall_step * hits / seen))


def brier(labels: Ints, probabilities: Floats, weights: Floats | None = None) -> float | None:
    return _mean((probabilities - labels) ** 2, weights)


def expected_calibration_error(
    labels: Ints, probabilities: Floats, weights: Floats | None = None, *, bins: int = 15
) -> float | None:
    """Mean |observed rate - mean probability| over bins of equal width, weighted by their counts."""
    each = _weighed(np.ones(len(labels), bool), weights)
    if not each.sum():
        return None
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    gap = np.bincount(which, weights=each * (probabilities - labels), minlength=bins)
    return float(np.abs(gap).sum() / each.sum())


def confusion_measures(
    labels: Ints, scores: Floats, threshold: float, weights: Floats | None = None
) -> dict[str, float | None]:
    """accuracy, sensitivity and specificity of `score >= threshold`."""
    called, truth = scores >= threshold, labels == 1

    def share(hits: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> float | None:
        return _mean(hits[of], None if weights is None else weights[of])

    return {
        "accuracy": _mean(called == truth, weights),
        "sensitivity": share(called, truth),
        "specificity": share(~called, ~truth),
    }


def _weighed(which: npt.NDArray[np.bool_], weights: Floats | None) -> Floats:
    return np.where(which, 1.0 if weights is None else weights, 0.0)


def _mean(values: npt.NDArray[Any], weights: Floats | None) -> float | None:
    if weights is None:
        return float(np.mean(values)) if len(values) else None
    return float(np.average(values, weights=weights)) if weights.sum() else None


def positive_predictive_value(labels: Ints, scores: Floats, threshold: float) -> float | None:
    """Of those with `score >= threshold` the share that has it. None where none has such a score."""
    return _mean((labels == 1)[scores >= threshold], None)


def wilson_low(share: float, n: float, z: float = Z95) -> float:
    """The lower end of Wilson's interval for a share seen in n independent cases; 0 for none. Of weighted
    cases n is how many equal ones would tell as much (Kish)."""
    if n == 0:
        return 0.0
    spread = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float((share + z**2 / (2 * n) - spread) / (1 + z**2 / n))


def wilson_interval(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """(low, high) of a share seen in n independent cases; see `wilson_low`."""
    return wilson_low(share, n, z), 1 - wilson_low(1 - share, n, z)


def quantile_interval(values: Floats, q: float, z: float = Z95) -> tuple[float, float, float]:
    """(quantile, low, high) of values (n,), n >= 1. The interval runs between the order statistics that a
    binomial puts round it, whatever the values' distribution; to the ends where there are too few."""
    ordered, n = np.sort(values), len(values)
    spread = z * np.sqrt(n * q * (1 - q))
    low, high = max(0, int(np.floor(n * q - spread))), min(n - 1, int(np.ceil(n * q + spread)))
    return float(np.quantile(ordered, q)), float(ordered[low]), float(ordered[high])


def bootstrap_intervals(
    measures: Callable[[Ints], Mapping[str, float | None]],
    groups: Sequence[object] | npt.NDArray[np.generic],
    *,
    rounds: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of `measures(indices)` over resampled groups (patients or cards), not rows.

    All measures look at the same draws. Rounds in which one is undefined are left out for it; it gets no
    interval if fewer than half remain.
    """
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {}
    for _ in range(rounds):
        drawn = rng.integers(0, len(members), len(members))
        for name, value in measures(np.concatenate([members[i] for i in drawn])).items():
            if value is not None:
                values.setdefault(name, []).append(value)
    found = {name: of for name, of in values.items() if len(of) >= max(1, rounds / 2)}
    ends = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: (float(np.quantile(of, ends[0])), float(np.quantile(of, ends[1]))) for name, of in found.items()
    }
