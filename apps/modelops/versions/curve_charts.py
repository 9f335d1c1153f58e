"""Curves of the test part as charts: of one version by finding, or of several versions beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHARTS = {
    "roc": "Sensitivity against false alarms (ROC)",
    "precision-recall": "Precision against recall",
    "reliability": "Calibration",
}
SERIES_MAX = 6  # as many as there are colours
Curves = Mapping[str, Any]  # as ml.common.curves makes them


def draw_curves(chart: str, curves: Sequence[tuple[str, Curves]]) -> dict[str, Any]:
    """The chart component's JSON (docs/design-system.md). `curves`: each with the name of its line."""
    return {**_DRAWN[chart](list(curves)[:SERIES_MAX]), "legend": True, "done": True}


def _roc(curves: list[tuple[str, Curves]]) -> dict[str, Any]:
    return {
        "x": {"name": "share of the others called", "min": 0, "max": 1},
        "y": {"name": "sensitivity", "min": 0, "max": 1},
        "series": [_line(name, one["roc"]) for name, one in curves] + [_diagonal("by chance", 1)],
    }


def _precision_recall(curves: list[tuple[str, Curves]]) -> dict[str, Any]:
    return {
        "x": {"name": "recall", "min": 0, "max": 1},
        "y": {"name": "precision", "min": 0, "max": 1},
        "series": [_line(name, one["precision_recall"]) for name, one in curves],
    }


def _reliability(curves: list[tuple[str, Curves]]) -> dict[str, Any]:
    """As far as probabilities go: of rare things none lies near 1."""
    bins = {name: sorted(one["reliability"]) for name, one in curves}
    most = min(1.0, max((max(said, seen) for each in bins.values() for said, seen, *_ in each), default=1.0))
    series = [
        {
            **_line(name, [[said, seen] for said, seen, *_ in each]),
            "band": [[said, low, min(high, most)] for said, _, low, high, _ in each],
        }
        for name, each in bins.items()
    ]
    return {
        "x": {"name": "probability said, mean of the bin", "min": 0},
        "y": {"name": "share that has it", "min": 0},
        "series": [*series, _diagonal("as said", most)],
    }


def _line(name: str, points: list[list[float]]) -> dict[str, Any]:
    return {"name": name, "points": points}


def _diagonal(name: str, most: float) -> dict[str, Any]:
    return {"name": name, "points": [[0, 0], [most, most]], "light": True}


_DRAWN = {"roc": _roc, "precision-recall": _precision_recall, "reliability": _reliability}
