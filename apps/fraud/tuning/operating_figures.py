"""An operating point's consequence as the page shows it: a table, its days, and a chart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.rules.operating import Proposal
from ml.fraud.heldout import HeldOut
from ml.fraud.operating import Consequence, Day, Estimate, curve


def _count(value: float) -> str:
    return f"{value:,.1f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _money(value: float) -> str:
    return format_minor(round(value), REPORTING_CURRENCY)


# name, title, how it is said
ROWS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("alerts_per_day", "Alerts a day", _count),
    ("reviews_per_day", "of them reviews", _count),
    ("declines_per_day", "of them declines", _count),
    ("caught_per_day", "Frauds caught a day", _count),
    ("recall", "Recall: frauds caught of all known", _share),
    ("value_recall", "Value recall: their money of all known", _share),
    ("precision", "Precision: frauds of alerts with a known label", _share),
    ("unknown_share", "Alerts without a known label", _share),
    ("good_declined_per_day", "Good payments declined a day", _count),
    ("saved_minor_per_day", "Money saved a day", _money),
    ("cost_minor_per_day", "Expected cost a day", _money),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: as chosen, with its 95 % interval, beside what is in service."""

    title: str
    value: str
    interval: str
    now: str


def figure_rows(chosen: Consequence, now: Consequence) -> list[Figure]:
    return [
        Figure(
            title,
            _said(chosen.estimates[name], say),
            _interval(chosen.estimates[name], say),
            _said(now.estimates[name], say),
        )
        for name, title, say in ROWS
    ]


def _said(one: Estimate, say: Callable[[float], str]) -> str:
    return "not defined" if one.value is None else say(one.value)


def _interval(one: Estimate, say: Callable[[float], str]) -> str:
    return "" if one.low is None or one.high is None else f"{say(one.low)} to {say(one.high)}"


@dataclass(frozen=True, slots=True)
class DayRow:
    at: datetime
    day: Day
    saved: str
    cost: str


def day_rows(found: Consequence) -> list[DayRow]:
    return [
        DayRow(
            datetime.fromtimestamp(day.at_us / 1e6, UTC), day, _money(day.saved_minor), _money(day.cost_minor)
        )
        for day in found.days
    ]


def curve_of(table: HeldOut, now: Proposal | None, chosen: Proposal | None) -> dict[str, Any]:
    """The chart component's JSON (docs/design-system.md)."""
    points = curve(table)
    marks = {"in service": now, "chosen": chosen}
    lines = [
        {"name": f"{name}, {_count(value)}", "axis": "x", "value": value}
        for name, proposal in marks.items()
        if proposal and (value := proposal.came_to.estimates["alerts_per_day"].value) is not None
    ]
    if len(lines) == 2 and lines[0]["value"] == lines[1]["value"]:
        lines = [{**lines[1], "name": f"in service and {lines[1]['name']}"}]
    return {
        "x": {"name": "alerts", "unit": "a day", "min": 0},
        "y": {"name": "value recall", "min": 0, "max": 1},
        "series": [
            {
                "name": "held-out days",
                "points": [[alerts, recall] for alerts, recall, _, _ in points],
                "band": [[alerts, low, high] for alerts, _, low, high in points],
            }
        ],
        "lines": lines,
        "done": True,
    }
