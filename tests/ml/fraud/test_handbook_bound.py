"""The bound beside the handbook's table knows the rules, and of labels only those known by then."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.handbook_bound import posterior
from benchmarks.handbook_protocol import DELAY_DAYS, Handbook


@pytest.fixture
def book() -> Handbook:
    """Two payments a day of each of 10 cards for 40 days at 10 terminals, one of them bad from day 20."""
    rng = np.random.default_rng(0)
    n = 10 * 2 * 40
    day, card = np.repeat(np.arange(40, dtype=np.int32), 20), np.tile(np.arange(10, dtype=np.int32), 80)
    terminal = rng.integers(0, 10, n)
    amount_minor = np.clip(rng.normal(4000, 2000, n), 100, 11_000).astype(np.int64)
    amount_minor[-1] = 25_000
    fraud = ((terminal == 0) & (day >= 20)).astype(np.int8)
    at = pd.Timestamp("2018-04-01", tz="UTC") + pd.to_timedelta(
        day * 86_400 + np.tile(np.arange(20), 40), "s"
    )
    events = pd.DataFrame(
        {"amount_minor": amount_minor, "terminal_id": terminal.astype(str), "occurred_at": at.as_unit("us")}
    )
    return Handbook(events, np.zeros((n, 15)), fraud, day, card)


def test_it_accuses_a_terminal_once_a_fraud_there_is_known_and_no_sooner(book) -> None:
    chance = posterior(book)
    bad = book.fraud == 1
    assert chance[bad & (book.day < 20 + DELAY_DAYS)].max() < 0.05
    assert chance[bad & (book.day > 21 + DELAY_DAYS)].min() > 0.9
    assert chance[~bad][:-1].max() < 0.3
    assert chance[-1] == 1  # over the limit


def test_a_label_not_known_yet_changes_nothing(book) -> None:
    before = posterior(book)
    told = book.day >= 33
    book.fraud[told] = 1 - book.fraud[told]
    after = posterior(book)
    np.testing.assert_array_equal(before[book.day < 33 + DELAY_DAYS], after[book.day < 33 + DELAY_DAYS])
    book.fraud[book.day == 24] = 0
    assert not np.array_equal(posterior(book)[book.day > 32], before[book.day > 32])
