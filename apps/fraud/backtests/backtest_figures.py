"""A backtest's sums as its page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.fraud.backtests.backtest import OF_ALL, OF_RULE, OF_SIDE, SIDES, Tally
from apps.fraud.models import Backtest

PAIRS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """`sums` by the names of OF_RULE; shares are of what is known, None where nothing is."""

    rule: Mapping[str, Any]
    sums: Mapping[str, int]

    @property
    def precision(self) -> float | None:
        return _share(self.sums["caught"], self.sums["caught"] + self.sums["false_alarms"])

    @property
    def recall(self) -> float | None:
        return _share(self.sums["caught"], self.sums["caught"] + self.sums["missed"])

    @property
    def with_model(self) -> float | None:
        return _share(self.sums["with_model"], self.sums["fired"])


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rules that fire for the same payments: for how many, and for what share of the rarer one's."""

    one: Mapping[str, Any]
    other: Mapping[str, Any]
    payments: int
    frauds: int
    share: float


@dataclass(frozen=True, slots=True)
class Figures:
    """`whole` by the names of OF_ALL; `sides`: (title, by the names of OF_SIDE).

    `without_history`: payments of which the model saw none, where a rule looks at it.
    """

    whole: Mapping[str, int]
    rules: list[RuleFigures]
    sides: list[tuple[str, Mapping[str, int]]]
    pairs: list[Pair]
    without_history: int

    @property
    def not_asked(self) -> bool:
        return any(one.sums["asked"] < self.whole["payments"] for one in self.rules)


def figures_of(backtest: Backtest) -> Figures:
    sums = Tally.from_json(backtest.tally, len(backtest.rules))
    return Figures(
        whole=_named(OF_ALL, sums.whole),
        rules=[
            RuleFigures(rule, _named(OF_RULE, row))
            for rule, row in zip(backtest.rules, sums.rules, strict=True)
        ],
        sides=[(title, _named(OF_SIDE, row)) for title, row in zip(SIDES, sums.sides, strict=True)],
        pairs=_pairs(backtest.rules, sums),
        without_history=int(sums.without_history[0]),
    )


def seconds_per_million(backtest: Backtest) -> float | None:
    payments = backtest.tally["whole"][0]
    return backtest.seconds / payments * 1e6 if payments else None


def _named(names: tuple[str, ...], values: Any) -> dict[str, int]:
    return dict(zip(names, map(int, values), strict=True))


def _pairs(rules: list[dict[str, Any]], sums: Tally) -> list[Pair]:
    """Those that have payments in common, the most alike first."""
    found = []
    for row in range(len(rules)):
        for column in range(row + 1, len(rules)):
            payments = int(sums.together[row, column])
            rarer = int(min(sums.together[row, row], sums.together[column, column]))
            if payments:
                frauds = int(sums.caught_together[row, column])
                found.append(Pair(rules[row], rules[column], payments, frauds, payments / rarer))
    return sorted(found, key=lambda pair: (-pair.share, -pair.payments))[:PAIRS_SHOWN]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
