"""A reason's value and baseline as people read them, and all weights made to end at the score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ml.fraud.contracts import NETWORK

EDGE = 1e-9  # a score of exactly 0 or 1 has no log-odds
SMALLEST = 0.005  # what two decimals would show as nothing


def _times(value: float) -> str:
    return f"{math.exp(value):.1f}x"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _money(value: float) -> str:
    return f"{math.expm1(value):,.2f}"


def _pause(value: float) -> str:
    if value < 0:
        return "first"
    seconds = math.expm1(value)
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else _hours(seconds)
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def _speed(value: float) -> str:
    return f"{math.expm1(value):,.0f} km/h"


def _log_odds(value: float) -> str:
    return f"{value:+.2f}"


def _share(yes: str, no: str) -> Callable[[float], str]:
    return lambda value: yes if value >= 0.5 else no


# By a reason's code, its main feature's value in words (ml.fraud.reasons has the features).
SAID: dict[str, Callable[[float], str]] = {
    "amount": _times, "velocity": _whole, "spend": _money, "unusual_amounts": _whole, "card_testing": _whole,
    "pause": _pause, "travel": _speed, "country": _share("changed", "same"),
    "new_place": _share("new", "known"), "entry": _share("other", "usual"), "terminal": _times,
    "merchant": _whole, "device": _whole,
    "terminal_frauds": _whole, "card_frauds": _whole, "time": _share("night", "day"),
    "history": lambda value: _whole(math.expm1(value)), NETWORK: _log_odds,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AddedUp:
    """`rows` end at `total`, the score's log-odds."""

    rows: list[dict[str, Any]]
    total: float


def added_up(reasons: Sequence[dict[str, Any]], score: float) -> AddedUp:
    """The model's reasons with value and baseline in words, and what calibration did as their last."""
    rows = [
        reason | {"value": said(reason, "value"), "baseline": said(reason, "baseline")} for reason in reasons
    ]
    kept = min(max(score, EDGE), 1 - EDGE)
    total = math.log(kept / (1 - kept))
    calibration = total - sum(float(reason["weight"] or 0) for reason in reasons)
    if reasons and abs(calibration) >= SMALLEST:
        rows.append(
            {"text": "Calibration on held-out payments", "weight": calibration, "value": "", "baseline": ""}
        )
    return AddedUp(rows, total)


def said(reason: dict[str, Any], name: str) -> str:
    value = reason.get(name)
    if not isinstance(value, int | float):
        return str(value or "")
    in_words = SAID.get(reason["code"])
    return in_words(float(value)) if in_words else f"{value:.6g}"
