"""What a threshold comes to wherever it lies, and how far probabilities are to be believed, as points."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.common.metrics import Floats, Ints, wilson_interval
from ml.common.scored import UNKNOWN, Scored

POINTS = 60
BINS = 10
Points = list[list[float]]


def curves(labels: Ints, scores: Floats, weights: Floats | None = None) -> dict[str, Any] | None:
    """`roc`: [1 - specificity, sensitivity], `precision_recall`: [recall, precision], `reliability`: [mean
    probability, observed share, its low and high end, cases] a bin that holds cases. None with one class.

    labels 0/1 (n,), scores probabilities (n,), weights (n,).
    """
    each = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-scores, kind="stable")
    truth, ordered, each = labels[order] == 1, np.asarray(scores, np.float64)[order], each[order]
    hits, misses = np.cumsum(np.where(truth, each, 0.0)), np.cumsum(np.where(truth, 0.0, each))
    if not len(order) or not hits[-1] or not misses[-1]:
        return None
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True) & (hits + misses > 0))
    recall, alarms = hits[ends] / hits[-1], misses[ends] / misses[-1]
    precision = hits[ends] / (hits[ends] + misses[ends])
    return {
        "roc": _thinned(np.append(0.0, alarms), np.append(0.0, recall)),
        "precision_recall": _thinned(recall, precision),
        "reliability": _reliability(truth, ordered, each),
    }


def curves_of(kept: Scored) -> dict[str, Any]:
    """Finding -> its curves, where it has both classes."""
    weights = None if (kept.weights == 1).all() else kept.weights
    found = {}
    for column, name in enumerate(kept.names):
        known = kept.labels[:, column] != UNKNOWN
        weighed = None if weights is None else weights[known]
        if drawn := curves(kept.labels[known, column], kept.scores[known, column], weighed):
            found[str(name)] = drawn
    return found


def _thinned(x: Floats, y: Floats) -> Points:
    """POINTS of them at most, evenly along the line and its ends among them."""
    length = np.append(0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
    at = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
    at = np.unique(np.append(np.minimum(at, len(x) - 1), [0, len(x) - 1]))
    return [[round(float(a), 5), round(float(b), 5)] for a, b in zip(x[at], y[at], strict=True)]


def _reliability(truth: Any, probabilities: Floats, weights: Floats) -> Points:
    """In bins of as many cases each: of rare things nearly all probabilities lie close to 0."""
    found = []
    for rows in np.array_split(np.arange(len(truth)), min(BINS, len(truth)))[::-1]:
        total = float(weights[rows].sum())
        if not total:
            continue
        mean = float(np.average(probabilities[rows], weights=weights[rows]))
        share = float(np.average(truth[rows], weights=weights[rows]))
        alike = total**2 / float((weights[rows] ** 2).sum())
        low, high = wilson_interval(share, alike)
        found.append([*(round(one, 5) for one in (mean, share, low, high)), float(len(rows))])
    return found
