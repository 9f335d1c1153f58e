"""The stability index: fixed bins, one for what is missing, and a limit that is drawn from days."""

from __future__ import annotations

import numpy as np
import pytest

from ml.common.artefact import open_artefact
from ml.fraud import drift
from ml.fraud.drift import BINS, SCORE, Reference, psi, threshold
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.latency import bin_of, percentile_ms
from ml.fraud.resampling import ratio_of, sum_of
from ml.fraud.windows import DAY_US

DAYS, A_DAY = 8, 500
NAMES = ("even", "mostly_one", "sometimes_missing")


def values_of(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    missing = np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1, n))
    return np.column_stack([rng.normal(shift, 1, n), (rng.random(n) < 0.9).astype(float), missing])


@pytest.fixture(scope="module")
def reference() -> Reference:
    n = DAYS * A_DAY + 100  # a day begun is left out
    return Reference.of(NAMES, values_of(n, 1), np.arange(n) * (DAY_US // A_DAY))


def test_it_works(reference) -> None:
    """Bytes and back; what is like before stays below its limit, and what has moved does not."""
    again = Reference.from_bytes(reference.to_bytes())
    assert again.counts.shape == (DAYS, len(NAMES), BINS)
    assert again.counts.sum(-1).tolist() == [[A_DAY] * len(NAMES)] * DAYS
    then, limits = again.counts.sum(0), threshold(again, 400)
    assert (psi(then, again.count(values_of(400, 2))) < limits).all()
    moved = psi(then, again.count(values_of(400, 3, shift=0.8)))
    assert moved[0] > limits[0] and (moved[1:] < limits[1:]).all()


def test_what_is_missing_has_a_bin_of_its_own(reference) -> None:
    values = values_of(400, 4)
    assert reference.count(values)[2, -1] == pytest.approx(40, abs=20)
    values[:, 0] = np.nan
    assert psi(reference.counts.sum(0), reference.count(values))[0] > threshold(reference, 400)[0]


def test_a_value_that_most_share_is_a_bin_so_that_going_below_it_is_seen(reference) -> None:
    values = values_of(400, 5)
    values[:, 1] = np.where(np.arange(400) < 200, 0.0, 1.0)
    assert psi(reference.counts.sum(0), reference.count(values))[1] > threshold(reference, 400)[1]


def test_the_index_is_what_its_definition_says() -> None:
    then, now = np.array([[50, 50, 0]]), np.array([[75, 25, 0]])
    wanted = 0.25 * np.log(0.75 / 0.5) - 0.25 * np.log(0.25 / 0.5)
    assert psi(then, now)[0] == pytest.approx(wanted)


def test_few_payments_differ_by_chance_and_the_limit_knows(reference) -> None:
    """The rule of thumb of 0.1 would cry at most small samples of the same."""
    limits, then = threshold(reference, 60), reference.counts.sum(0)
    drawn = [psi(then, reference.count(values_of(60, seed))) for seed in range(100, 200)]
    assert np.mean([one > limits for one in drawn]) < 0.03
    assert np.mean([one > 0.1 for one in drawn]) > 0.5


def days_that_differ() -> Reference:
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(rng.normal(0, 0.3), 1, A_DAY) for _ in range(20)])
    return Reference.of(("x",), values[:, None], np.arange(len(values)) * (DAY_US // A_DAY))


def test_days_that_differ_by_themselves_are_no_drift() -> None:
    wild = days_that_differ()
    then, limit = wild.counts.sum(0), threshold(wild, A_DAY)[0]
    assert all(psi(then, day)[0] < limit for day in wild.counts)


def test_without_the_days_many_of_them_would_be_called_drift() -> None:
    wild = days_that_differ()
    pooled = Reference(wild.names, wild.edges, wild.counts.sum(0, keepdims=True))
    then, limit = wild.counts.sum(0), threshold(pooled, A_DAY)[0]
    assert np.mean([psi(then, day)[0] > limit for day in wild.counts]) > 0.25


def test_training_keeps_the_reference_of_its_validation_days(trained) -> None:
    found = Reference.from_bytes(open_artefact(trained.artefact_dir).path("drift.npz").read_bytes())
    assert found.names == (*FEATURE_NAMES, "sequence", SCORE)
    assert len(found.counts) > 1
    assert not found.counts[..., -1].any()
    assert drift.LEVEL == 0.99


def test_percentiles_of_counted_latencies_are_right_to_a_few_percent() -> None:
    rng = np.random.default_rng(7)
    values = np.exp(rng.normal(3, 1, 5000))
    counts: dict[int, int] = {}
    for value in values:
        counts[bin_of(value)] = counts.get(bin_of(value), 0) + 1
    for q in (0.5, 0.95, 0.99):
        assert percentile_ms(counts, q) == pytest.approx(np.quantile(values, q), rel=0.04)
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({0: 3}, 0.5) == 0.1


def test_an_interval_holds_its_sum_and_is_missing_where_nothing_can_be_said() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for seed in range(100):
        found = sum_of(rng.exponential(100, 30), seed)
        inside += found.low <= 3000 <= found.high
    assert 85 <= inside <= 100
    few = sum_of([5.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0])
    assert (few.value, few.low) == (8.0, None)
    assert ratio_of([0.0, 0.0], [0.0, 0.0]).value is None
    assert ratio_of([1.0, 2.0], [2.0, 2.0]).low is None
    share = ratio_of([1.0, 2.0, 1.0] * 3, [2.0, 2.0, 2.0] * 3)
    assert share.value == pytest.approx(2 / 3)
    assert share.low <= share.value <= share.high
