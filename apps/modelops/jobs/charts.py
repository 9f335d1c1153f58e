"""A job's curves as charts: losses together, scores together, one chart for each in every phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.modelops.common.selectors import Curves
from apps.modelops.registry import Domain
from ml.common.contracts import OF_TIME

# Train and validation of one measure share a chart; so do measures that rank or count, all within 0..1.
SCORES = {
    "auc": "AUC", "aucpr": "area under precision-recall", "ap": "average precision", "accuracy": "accuracy",
    "sensitivity": "sensitivity", "specificity": "specificity", "f1": "F1",
}  # fmt: skip
PARTS = {"train": "training", "val": "validation"}


@dataclass(frozen=True, slots=True)
class Chart:
    """`key` is what the page asks for; `metrics` are the reported names it draws."""

    key: str
    phase: str
    title: str
    kind: str
    metrics: tuple[str, ...]


def charts_of(curves: Curves, domain: Domain) -> list[Chart]:
    charts = []
    for phase, metrics in curves.items():
        kinds: dict[str, list[str]] = {}
        for name in sorted(metrics, key=_place):
            if not name.startswith(OF_TIME):  # shares of time are drawn as the phase bar
                kinds.setdefault(_kind(name), []).append(name)
        for kind, names in kinds.items():
            title = f"{kind.capitalize()}, {domain.phase(phase).title}"
            charts.append(Chart(f"{phase}.{kind}", phase, title, kind, tuple(names)))
    return charts


def draw(chart: Chart, curves: Curves, domain: Domain, *, done: bool) -> dict[str, Any]:
    """The chart component's JSON (docs/design-system.md)."""
    measures = {_measure(name) for name in chart.metrics}
    only = next(iter(measures)) if len(measures) == 1 else ""
    series = [
        {"name": _series_name(name, alone=bool(only)), "points": curves[chart.phase][name]}
        for name in chart.metrics
    ]
    return {
        "x": {"name": domain.phase(chart.phase).unit},
        "y": {"name": SCORES.get(only, chart.kind)},
        "series": series,
        "done": done,
    }


def _place(name: str) -> tuple[bool, bool, str]:
    """Losses first, training before validation: PostgreSQL does not keep the order of JSON's keys."""
    return "loss" not in name, not name.startswith("train_"), name


def _measure(name: str) -> str:
    part, _, rest = name.partition("_")
    return rest if part in PARTS and rest else name


def _kind(name: str) -> str:
    measure = _measure(name)
    if "loss" in measure:
        return "loss"
    return "score" if measure in SCORES else measure.replace("_", " ")


def _series_name(name: str, *, alone: bool) -> str:
    part = PARTS.get(name.partition("_")[0], "")
    if alone and part:
        return part
    return f"{part} {SCORES.get(_measure(name), _measure(name))}".strip()
