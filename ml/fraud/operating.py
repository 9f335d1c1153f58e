"""Thresholds from what analysts can look at or from what errors cost, and what they come to on held-out days.

Everything here looks at the validation days of a version alone (`HeldOut`), never at its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import Thresholds
from ml.fraud.heldout import UNKNOWN, Floats, HeldOut
from ml.fraud.windows import DAY_US

DECLINES_MIN = 10  # a precision over fewer than these says nothing
ROUNDS = 400
CURVE_POINTS = 60
Counts = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Costs:
    """Money in minor units of the reporting currency. `*_saves`: share of a fraud's amount that is saved."""

    review_minor: int = 500
    review_saves: float = 0.9
    decline_saves: float = 1.0
    good_decline_minor: int = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of the held-out days and its 95 % interval over resampled days; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One held-out day: all that would be alerted and declined, and what is known of fraud and good ones."""

    at_us: int
    payments: float
    alerts: float
    declines: float
    frauds: float
    caught: float
    good_declined: float
    saved_minor: float
    cost_minor: float


@dataclass(frozen=True, slots=True)
class Consequence:
    estimates: Mapping[str, Estimate]
    days: tuple[Day, ...]


def for_budget(table: HeldOut, alerts_per_day: float, decline_precision: float) -> Thresholds:
    """As many alerts as can be looked at in the mean; declines as far down as precision is high enough."""
    counts = _cuts(table)
    review = counts[counts <= alerts_per_day * table.n_days + 1e-9][-1]
    known = np.where(table.labels != UNKNOWN, table.weights, 0.0).cumsum()
    frauds = np.where(table.labels == 1, table.weights, 0.0).cumsum()
    deep = counts[counts >= DECLINES_MIN]
    precise = deep[frauds[deep - 1] >= decline_precision * np.maximum(known[deep - 1], 1e-9)]
    decline = precise[-1] if len(precise) else 0
    return _thresholds(table, int(review), int(min(decline, review)))


def for_cost(table: HeldOut, costs: Costs, alerts_per_day: float | None = None) -> Thresholds:
    """The least expected cost, with no more alerts than `alerts_per_day` where that is given.

    A payment whose label is unknown costs its look and nothing else.
    """
    counts = _cuts(table)
    if alerts_per_day is not None:
        counts = counts[counts <= alerts_per_day * table.n_days + 1e-9]
    fraud_minor, good = _fraud_minor(table), _good(table)
    look = np.full(len(table.scores), float(costs.review_minor))
    # What a payment costs more when it is looked at than approved, and more when declined than looked at.
    reviewed = _sums(look - costs.review_saves * fraud_minor)[counts]
    declined = _sums(
        (costs.review_saves - costs.decline_saves) * fraud_minor + costs.good_decline_minor * good
    )
    declined = declined[counts]
    best_decline = _argmin_so_far(declined)
    review = int(np.argmin(reviewed + declined[best_decline]))
    return _thresholds(table, int(counts[review]), int(counts[best_decline[review]]))


def consequence(table: HeldOut, thresholds: Thresholds, costs: Costs, seed: int = 0) -> Consequence:
    """What the thresholds come to a day, with intervals over ROUNDS draws of whole days."""
    review, decline = (table.scores >= np.float32(limit) for limit in (thresholds.review, thresholds.decline))
    fraud_minor, good = _fraud_minor(table), _good(table)
    fraud = np.where(table.labels == 1, table.weights, 0.0)
    saved = fraud_minor * np.where(decline, costs.decline_saves, np.where(review, costs.review_saves, 0.0))

    def of_day(values: Floats) -> Floats:
        return np.bincount(table.days, values, minlength=table.n_days).astype(np.float64)

    looks, good_declined, saved_minor = (
        of_day(review.astype(np.float64)),
        of_day(np.where(decline, good, 0.0)),
        of_day(saved),
    )
    lost = table.fraud_minor_of_day - saved_minor
    sums = {
        "alerts": looks,
        "declines": of_day(decline.astype(np.float64)),
        "unknown": of_day(np.where(review & (table.labels == UNKNOWN), 1.0, 0.0)),
        "known": of_day(np.where(review, good + fraud, 0.0)),
        "caught": of_day(np.where(review, fraud, 0.0)),
        "caught_minor": of_day(np.where(review, fraud_minor, 0.0)),
        "frauds": table.frauds_of_day,
        "fraud_minor": table.fraud_minor_of_day,
        "good_declined": good_declined,
        "saved_minor": saved_minor,
        "cost_minor": lost + looks * costs.review_minor + good_declined * costs.good_decline_minor,
    }
    return Consequence(_estimates(sums, table.n_days, seed), _days(table, sums))


def curve(table: HeldOut, seed: int = 0) -> list[tuple[float, float, float, float]]:
    """(alerts a day, value recall, its low end, its high end) from few alerts to many."""
    counts = _cuts(table)
    most = min(int(counts[-1]), max(DECLINES_MIN, round(float(table.payments_of_day.sum()) * 0.1)))
    wanted = np.unique(np.geomspace(max(1, most / 1000), most, CURVE_POINTS).round().astype(int))
    at = np.unique(counts[np.searchsorted(counts, wanted, side="right") - 1])
    caught = np.zeros((len(at), table.n_days))
    fraud_minor = _fraud_minor(table)
    for row, count in enumerate(at):
        caught[row] = np.bincount(table.days[:count], fraud_minor[:count], minlength=table.n_days)
    draws = _draws(table.n_days, seed)
    drawn = _ratio(draws @ caught.T, (draws @ table.fraud_minor_of_day)[:, None])
    all_of = _ratio(caught.sum(1), np.full(len(at), table.fraud_minor_of_day.sum()))
    if np.isnan(all_of).any():
        return []
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return [
        (float(count / table.n_days), float(value), float(a), float(b))
        for count, value, a, b in zip(at, all_of, low, high, strict=True)
    ]


def _cuts(table: HeldOut) -> Counts:
    """How many payments a threshold can let through to a person: never some of those with equal scores."""
    last_of_tie = np.flatnonzero(np.append(np.diff(table.scores) != 0, True)) + 1
    return np.concatenate([[0], last_of_tie])


def _thresholds(table: HeldOut, review: int, decline: int) -> Thresholds:
    return Thresholds(review=_limit(table, review), decline=_limit(table, decline))


def _limit(table: HeldOut, count: int) -> float:
    """Halfway between the last score that is to lie above it and the first that is not; 1 above nothing."""
    if count == 0:
        return 1.0
    above = float(table.scores[count - 1])
    below = float(table.scores[count]) if count < len(table.scores) else above
    halfway = (above + below) / 2
    return halfway if np.float32(halfway) > np.float32(below) else above


def _fraud_minor(table: HeldOut) -> Floats:
    return np.where(table.labels == 1, table.amounts * table.weights.astype(np.float64), 0.0)


def _good(table: HeldOut) -> Floats:
    return np.where(table.labels == 0, table.weights.astype(np.float64), 0.0)


def _sums(values: Floats) -> Floats:
    """(n + 1,) of the first 0, 1, ... n of them."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _argmin_so_far(values: Floats) -> Counts:
    """For each place the first place, up to it, of the least value so far."""
    least = np.minimum.accumulate(values)
    fresh = np.append(True, least[1:] < least[:-1])
    return np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))


def _draws(n_days: int, seed: int) -> Floats:
    """(ROUNDS, n_days): how often each day is drawn."""
    return np.random.default_rng(seed).multinomial(n_days, np.full(n_days, 1 / n_days), ROUNDS).astype(float)


def _ratio(over: Floats, under: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(under > 0, over / under, np.nan)


def _estimates(sums: Mapping[str, Floats], n_days: int, seed: int) -> dict[str, Estimate]:
    draws = _draws(n_days, seed)
    days = np.full(1, float(n_days))
    of = {name: (values.sum(keepdims=True), draws @ values) for name, values in sums.items()}
    reviews = [alerts - declines for alerts, declines in zip(of["alerts"], of["declines"], strict=True)]
    shares = {
        "recall": ("caught", "frauds"), "value_recall": ("caught_minor", "fraud_minor"),
        "precision": ("caught", "known"), "unknown_share": ("unknown", "alerts"),
    }  # fmt: skip
    a_day = ("alerts", "declines", "caught", "good_declined", "saved_minor", "cost_minor", "fraud_minor")
    pairs = {f"{name}_per_day": (of[name][0] / days, of[name][1] / days) for name in a_day}
    pairs["reviews_per_day"] = reviews[0] / days, reviews[1] / days
    for name, (over, under) in shares.items():
        pairs[name] = _ratio(of[over][0], of[under][0]), _ratio(of[over][1], of[under][1])
    return {name: _estimate(float(value[0]), drawn) for name, (value, drawn) in pairs.items()}


def _estimate(value: float, drawn: Floats) -> Estimate:
    if np.isnan(value):
        return Estimate(None)
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < len(drawn) / 2:
        return Estimate(value)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _days(table: HeldOut, sums: Mapping[str, Floats]) -> tuple[Day, ...]:
    start = int(table.start_us[0])
    names = ("alerts", "declines", "frauds", "caught", "good_declined", "saved_minor", "cost_minor")
    return tuple(
        Day(
            at_us=start + number * DAY_US,
            payments=float(table.payments_of_day[number]),
            **{name: float(sums[name][number]) for name in names},
        )
        for number in range(table.n_days)
    )
