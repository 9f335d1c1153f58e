"""What a review threshold comes to, at each place it could lie, over a table of scored payments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.fraud.heldout import UNKNOWN, Floats, HeldOut
from ml.fraud.operating import Costs

POINTS = 80


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """Each (m,), by falling threshold; NaN where not defined. Money in minor units of the reporting currency.

    `saved`: of fraud, by looks and declines; `lost`: fraud that is not saved, looks, good payments declined.
    """

    thresholds: Floats
    precision: Floats
    recall: Floats
    value_recall: Floats
    alerts_per_day: Floats
    saved_minor_per_day: Floats
    lost_minor_per_day: Floats


def threshold_curve(table: HeldOut, costs: Costs, decline: float, scale: float = 1.0) -> ThresholdCurve:
    """Declines begin at `decline`, or at the threshold where that lies higher. Payments of unknown label
    count as alerts only. `scale`: how many payments a row stands for."""
    counts = _places(table)
    known = np.where(table.labels != UNKNOWN, table.weights, 0.0).astype(np.float64)
    fraud = np.where(table.labels == 1, table.weights, 0.0).astype(np.float64)
    fraud_minor = fraud * table.amounts
    declined = table.scores >= np.float32(decline)
    saved = fraud_minor * np.where(declined, costs.decline_saves, costs.review_saves)
    good_declined = np.where(declined, known - fraud, 0.0) * costs.good_decline_minor
    sums = {
        name: np.cumsum(values)[counts - 1]
        for name, values in (
            ("known", known), ("fraud", fraud), ("fraud_minor", fraud_minor), ("saved", saved),
            ("good_declined", good_declined),
        )
    }  # fmt: skip
    a_day = scale / table.n_days
    whole_minor = table.fraud_minor_of_day.sum()
    lost = whole_minor - sums["saved"] + counts * costs.review_minor + sums["good_declined"]
    return ThresholdCurve(
        thresholds=table.scores[counts - 1].astype(np.float64),
        precision=_over(sums["fraud"], sums["known"]),
        recall=_over(sums["fraud"], table.frauds_of_day.sum()),
        value_recall=_over(sums["fraud_minor"], whole_minor),
        alerts_per_day=counts * a_day,
        saved_minor_per_day=sums["saved"] * a_day,
        lost_minor_per_day=lost * a_day,
    )


def _places(table: HeldOut) -> npt.NDArray[np.intp]:
    """Numbers of alerts, few to many, never between equal scores: a threshold cannot tell those apart."""
    last_of_tie = np.flatnonzero(np.append(np.diff(table.scores) != 0, True)) + 1
    wanted = np.unique(np.geomspace(1, len(table.scores), POINTS).round().astype(int))
    at = np.searchsorted(last_of_tie, wanted)
    return np.unique(last_of_tie[np.minimum(at, len(last_of_tie) - 1)])


def _over(part: Floats, whole: Floats | np.floating) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
