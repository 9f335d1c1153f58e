"""Measures of a binary classifier. Scores (n,), labels 0/1 (n,); undefined measures are None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


def roc_auc(labels: Ints, scores: Floats) -> float | None:
    """The chance that a positive outranks a negative, ties counting half. None with one class."""
    positives = int(np.sum(labels == 1))
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_rank[inverse][labels == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(labels: Ints, scores: Floats) -> float | None:
    """Sum of precision over the steps of recall, as scikit-learn defines it. None without positives."""
    positives = int(np.sum(labels == 1))
    if not positives:
        return None
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum(labels[order] == 1)
    last_of_tie = np.append(np.diff(sorted_scores) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    recall_step = np.diff(hits, prepend=0) / positives
    return float(np.sum(recall_step * hits / seen))


def brier(labels: Ints, probabilities: Floats) -> float | None:
    return float(np.mean((probabilities - labels) ** 2)) if len(labels) else None


def expected_calibration_error(labels: Ints, probabilities: Floats, *, bins: int = 15) -> float | None:
    """Mean |observed rate - mean probability| over bins of equal width, weighted by their counts."""
    if not len(labels):
        return None
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins)
    gap = np.bincount(which, weights=probabilities - labels, minlength=bins)
    return float(np.abs(gap)[counts > 0].sum() / len(labels))


def confusion_measures(labels: Ints, scores: Floats, threshold: float) -> dict[str, float | None]:
    """accuracy, sensitivity and specificity of `score >= threshold`."""
    called, truth = scores >= threshold, labels == 1

    def share(hits: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> float | None:
        return float(hits[of].mean()) if of.any() else None

    return {
        "accuracy": float(np.mean(called == truth)) if len(labels) else None,
        "sensitivity": share(called, truth),
        "specificity": share(~called, ~truth),
    }


def threshold_for_sensitivity(labels: Ints, scores: Floats, sensitivity: float) -> float:
    """The highest threshold at which `score >= threshold` still finds this share of the positives."""
    positives = np.sort(scores[labels == 1])
    if not len(positives):
        raise ValueError("There is no positive case to set a threshold on.")
    may_miss = int(np.floor((1 - sensitivity) * len(positives) + 1e-9))
    return float(positives[may_miss])


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
