"""What more reviews a day would catch: a queue's own order, replayed over days whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import Thresholds
from ml.fraud.heldout import HeldOut

DAYS_MIN = 5  # an interval over fewer says nothing
ROUNDS = 400
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Queued:
    """Alerts of whole days: number of its day (n,), what put it where it stood (n,), and what a review of it
    is worth (n,), in minor units of the reporting currency; 0 where that is unknown."""

    days: Ints
    stakes: Floats
    worth: Floats
    n_days: int


@dataclass(frozen=True, slots=True)
class Gain:
    """A day's mean over `n_days`, in minor units, and its 95 % interval over resampled days.

    `per_day`: how many alerts a day had; `beyond_days`: on how many of them the smaller budget was too small.
    """

    value_minor: float
    low_minor: float
    high_minor: float
    n_days: int
    per_day: float
    beyond_days: int


def gained(queued: Queued, budget: int, more: int, seed: int = 0) -> Gain | None:
    """The worth of each day's alerts after the first `budget`, up to `more`. None with too few days."""
    if queued.n_days < DAYS_MIN:
        return None
    order = np.lexsort((-queued.stakes, queued.days))
    days = queued.days[order]
    rank = np.arange(len(days)) - np.searchsorted(days, days)
    between = np.where((rank >= budget) & (rank < more), queued.worth[order], 0.0)
    of_day = np.bincount(days, between, minlength=queued.n_days)
    counts = np.bincount(days, minlength=queued.n_days)
    draws = np.random.default_rng(seed).multinomial(
        queued.n_days, np.full(queued.n_days, 1 / queued.n_days), ROUNDS
    )
    low, high = np.quantile(draws @ of_day / queued.n_days, [0.025, 0.975])
    return Gain(
        value_minor=float(of_day.mean()),
        low_minor=float(low),
        high_minor=float(high),
        n_days=queued.n_days,
        per_day=float(counts.mean()),
        beyond_days=int((counts > budget).sum()),
    )


def reviews(table: HeldOut, limits: Thresholds) -> Queued:
    """The loss desk's: what is reviewed, the most expected loss first; a known fraud's amount is caught."""
    asked = (table.scores >= np.float32(limits.review)) & (table.scores < np.float32(limits.decline))
    worth = np.where(table.labels == 1, table.amounts * table.weights.astype(np.float64), 0.0)
    return _queued(table, asked, table.scores.astype(np.float64) * table.amounts, worth)


def declines(table: HeldOut, limits: Thresholds) -> Queued:
    """The declined customers' desk: a payment known to be legitimate is let go through."""
    asked = table.scores >= np.float32(limits.decline)
    worth = np.where(table.labels == 0, table.amounts * table.weights.astype(np.float64), 0.0)
    return _queued(table, asked, (1 - table.scores.astype(np.float64)) * table.amounts, worth)


def _queued(table: HeldOut, asked: npt.NDArray[np.bool_], stakes: Floats, worth: Floats) -> Queued:
    return Queued(table.days[asked].astype(np.int64), stakes[asked], worth[asked], table.n_days)
