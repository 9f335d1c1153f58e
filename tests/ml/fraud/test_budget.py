"""What more reviews a day would catch, by the order of the queue and by whole days."""

from __future__ import annotations

import numpy as np
import pytest

from ml.fraud.budget import DAYS_MIN, Queued, declines, gained, reviews
from ml.fraud.contracts import Thresholds
from ml.fraud.heldout import HeldOut


def queued(per_day: list[list[tuple[float, float]]]) -> Queued:
    """Of each day its alerts, (stake, worth) each."""
    rows = [(day, *alert) for day, alerts in enumerate(per_day) for alert in alerts]
    days, stakes, worth = (np.array(column) for column in zip(*rows, strict=True))
    return Queued(days.astype(np.int64), stakes, worth, len(per_day))


def test_it_works() -> None:
    """Each day's second and third by stake count, whatever order they came in."""
    found = gained(queued([[(1, 100), (3, 7), (2, 10)]] * 6), 1, 3)
    assert found is not None
    assert (found.value_minor, found.low_minor, found.high_minor) == (110, 110, 110)
    assert (found.n_days, found.per_day, found.beyond_days) == (6, 3, 6)


def test_days_that_differ_widen_the_interval_and_days_without_alerts_count() -> None:
    found = gained(queued([[(2, 1), (1, 600)]] * 3 + [[(2, 1)]] * 3), 1, 2)
    assert found is not None
    assert found.value_minor == 300 and found.beyond_days == 3
    assert found.low_minor < 300 < found.high_minor


def test_too_few_days_say_nothing() -> None:
    assert gained(queued([[(1, 1)]] * (DAYS_MIN - 1)), 0, 1) is None


@pytest.fixture
def table() -> HeldOut:
    n_days = 5
    return HeldOut(
        scores=np.array([0.95, 0.6, 0.5, 0.1], np.float32),
        labels=np.array([0, 1, -1, 1], np.int8),
        amounts=np.array([1000, 2000, 4000, 8000]),
        days=np.zeros(4, np.int16),
        weights=np.array([1, 2, 1, 1], np.float32),
        payments_of_day=np.full(n_days, 4.0),
        frauds_of_day=np.full(n_days, 1.0),
        fraud_minor_of_day=np.full(n_days, 1.0),
        start_us=np.array([0]),
    )


def test_the_loss_desk_has_what_is_reviewed_and_catches_known_fraud(table) -> None:
    found = reviews(table, Thresholds(review=0.4, decline=0.9))
    assert found.stakes == pytest.approx([1200, 2000])
    assert found.worth.tolist() == [4000, 0]  # an unknown truth is worth nothing
    assert found.n_days == 5


def test_the_other_desk_has_what_is_declined_and_lets_the_honest_through(table) -> None:
    found = declines(table, Thresholds(review=0.4, decline=0.55))
    assert found.stakes == pytest.approx([50, 800])
    assert found.worth.tolist() == [1000, 0]
