"""The alert page's two charts as the numbers the page draws, each with the table behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from apps.fraud.alerts.card_events import CardEvents, Move, long
from apps.fraud.common.iso import minor_digits
from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Outcome, Transaction, TransactionStatus

SERIES = {Outcome.APPROVE: "approved", Outcome.REVIEW: "review", Outcome.DECLINE: "declined"}
OTHER, THIS = "not decided", "this payment"


def amounts_chart(events: CardEvents, usual_minor: int | None) -> dict[str, Any]:
    """Amounts in the reporting currency over time, a series an outcome, and this payment by itself."""
    unit = 10 ** minor_digits(REPORTING_CURRENCY)
    points: dict[str, list[tuple[str, float]]] = {name: [] for name in (*SERIES.values(), OTHER, THIS)}
    for row in events.every:
        at = row.occurred_at.isoformat()
        points[_series(row, events)].append((at, row.amount_reporting_minor / unit))
    lines = [{"name": "usual", "axis": "y", "value": usual_minor / unit}] if usual_minor else []
    return {
        "x": {"name": "time", "unit": ""},
        "y": {"name": "amount", "unit": REPORTING_CURRENCY, "min": 0},
        "series": [{"name": name, "points": found, "dots": True} for name, found in points.items() if found],
        "lines": lines,
        "table": {
            "head": ["When (UTC)", "Merchant", "Amount", "Decision"],
            "rows": [
                [
                    f"{row.occurred_at:%Y-%m-%d %H:%M:%S}", row.merchant_id,
                    format_minor(row.amount_minor, row.currency), _series(row, events),
                ]
                for row in reversed(events.every)
            ],
        },
        "done": True,
    }  # fmt: skip


def places_chart(events: CardEvents) -> dict[str, Any]:
    """The card's way over longitude and latitude; impossible moves are a series of their own, dashed."""
    located, moves = events.located(), events.moves()
    way, impossible = [_at(row) for row in located[:1]], []
    for last, row in pairwise(located):
        gap = (row.longitude, None)
        if moves[row.pk].impossible:
            impossible += [_at(last), _at(row), gap]
            way.append(gap)
        way.append(_at(row))
    series: list[dict[str, Any]] = [{"name": "places", "points": way}]
    if impossible:
        series.append({"name": "impossible speed", "points": impossible, "dashed": True})
    if events.paid in located:
        series.append({"name": THIS, "points": [_at(events.paid)], "dots": True})
    return {
        "x": {"name": "longitude", "unit": "°"},
        "y": {"name": "latitude", "unit": "°"},
        "series": series if located else [],
        "table": {
            "head": ["When (UTC)", "Country", "Place", "From the place before"],
            "rows": [_place_row(row, moves) for row in reversed(located)],
        },
        "done": True,
    }


CHARTS: dict[str, Callable[[CardEvents, int | None], dict[str, Any]]] = {
    "amounts": amounts_chart,
    "places": lambda events, _: places_chart(events),
}


def _series(row: Transaction, events: CardEvents) -> str:
    if row.pk == events.paid.pk:
        return THIS
    return SERIES[Outcome(row.decision.outcome)] if row.status == TransactionStatus.DECIDED else OTHER


def _at(row: Transaction) -> tuple[float | None, float | None]:
    return row.longitude, row.latitude


def _place_row(row: Transaction, moves: Mapping[int, Move]) -> list[str]:
    move = moves.get(row.pk)
    return [
        f"{row.occurred_at:%Y-%m-%d %H:%M:%S}", row.country, f"{row.latitude:.2f}, {row.longitude:.2f}",
        told(move) if move else "",
    ]  # fmt: skip


def told(move: Move) -> str:
    """`9,100 km in 35 min, impossible`; a short way is none."""
    if move.km < 1:
        return "same place"
    mark = f", {move.kmh:,.0f} km/h: impossible" if move.impossible else ""
    return f"{move.km:,.0f} km in {long(move.took)}{mark}"
