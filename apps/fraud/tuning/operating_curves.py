"""The threshold page's charts: what each threshold comes to, and week by week what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from apps.fraud.common.iso import minor_digits
from apps.fraud.common.money import REPORTING_CURRENCY
from apps.fraud.common.recent import Recent, Week, final_days
from apps.fraud.models import Method
from ml.fraud.contracts import Thresholds
from ml.fraud.curves import ThresholdCurve, threshold_curve
from ml.fraud.heldout import HeldOut
from ml.fraud.operating import Costs

MAJOR = 10 ** minor_digits(REPORTING_CURRENCY)
Pick = Callable[[ThresholdCurve], Any]
# By chart: the y axis, and its lines as name and numbers.
CHARTS: dict[str, tuple[dict[str, Any], tuple[tuple[str, Pick], ...]]] = {
    "rates": (
        {"name": "share", "min": 0, "max": 1},
        (("precision", lambda one: one.precision), ("recall", lambda one: one.recall)),
    ),
    "alerts": (
        {"name": "alerts", "unit": "a day", "log": True},
        (("alerts", lambda one: one.alerts_per_day),),
    ),
    "money": (
        {"name": "money", "unit": f"{REPORTING_CURRENCY} a day"},
        (
            ("saved", lambda one: one.saved_minor_per_day / MAJOR),
            ("lost", lambda one: one.lost_minor_per_day / MAJOR),
        ),
    ),
}


def curves_of(
    name: str, held_out: HeldOut, recent: Recent, costs: Costs, limits: Thresholds
) -> dict[str, Any]:
    """The chart component's JSON: held-out days drawn through, final days in service dashed."""
    y, lines = CHARTS[name]
    sources = [("held out", threshold_curve(held_out, costs, limits.decline), False)]
    if (final := final_days(recent)) is not None:
        sources.append(("in service", threshold_curve(final, costs, limits.decline, recent.scale), True))
    return {
        "x": {"name": "review from score", "log": True, "max": 1},
        "y": y,
        "series": [
            {"name": f"{line}, {source}", "points": _points(curve.thresholds, pick(curve)), "dashed": dashed}
            for source, curve, dashed in sources
            for line, pick in lines
        ],
        "lines": [
            {
                "name": name, "axis": "x", "value": value, "input": f"id_{name}",
                "choose": ["id_method", str(Method.BY_HAND)],
            }
            for name, value in (("review", limits.review), ("decline", limits.decline))
        ],
        "done": True,
    }  # fmt: skip


def _points(x: Any, y: Any) -> list[list[float | None]]:
    """From low to high thresholds. A logarithmic axis has no place for 0."""
    pairs = [
        [float(at), None if np.isnan(value) else round(float(value), 6)]
        for at, value in zip(x, y, strict=True)
        if at > 0
    ]
    return pairs[::-1]


def weekly(found: Sequence[Week]) -> dict[str, Any]:
    """What is not final yet is a line of its own, over a hatched ground."""
    fresh = [week for week in found if not week.final]
    series = []
    for name in ("precision", "recall"):
        for title, some in ((name, [week for week in found if week.final]), (f"{name}, not final", fresh)):
            points = [[week.at.isoformat(), getattr(week, name)] for week in some]
            if points:
                series.append({"name": title, "points": points, "light": some is fresh})
    shade = None
    x: dict[str, Any] = {"name": "week"}
    if fresh:
        end = fresh[-1].at + timedelta(days=7)
        shade = {"from": fresh[0].at.isoformat(), "to": end.isoformat(), "name": "not final"}
        x["max"] = end.timestamp() * 1000
    return {
        "x": x,
        "y": {"name": "share", "min": 0, "max": 1},
        "series": series,
        "shade": shade,
        "done": True,
    }
