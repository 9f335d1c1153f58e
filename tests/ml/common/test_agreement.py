from __future__ import annotations

import numpy as np
import pytest

from ml.common.agreement import cohen_kappa
from ml.common.metrics import quantile_interval


def test_it_works() -> None:
    """Fifty pairs of which both call 20, one alone 5, the other alone 10: observed .7, by chance .5."""
    found = cohen_kappa(20, 5, 10, 15)
    assert (found.n, found.observed) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)


def test_the_interval_covers_what_it_says() -> None:
    p, rounds = np.array([0.25, 0.1, 0.05, 0.6]), 400
    truth = cohen_kappa(*(p * 1000).astype(int)).kappa
    rng = np.random.default_rng(0)
    drawn = (cohen_kappa(*table) for table in rng.multinomial(150, p, rounds))
    assert sum(one.low <= truth <= one.high for one in drawn) / rounds == pytest.approx(0.95, abs=0.03)


def test_readers_who_said_one_thing_only_have_no_kappa() -> None:
    assert cohen_kappa(0, 0, 0, 30).kappa is None
    assert cohen_kappa(0, 0, 0, 0).n == 0
    assert cohen_kappa(10, 0, 0, 20).kappa == 1
    assert cohen_kappa(0, 10, 10, 0).kappa == -1


def test_a_quantiles_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.log(2)  # the median of an exponential
    found = [quantile_interval(rng.exponential(size=80), 0.5) for _ in range(400)]
    assert np.mean([low <= truth <= high for _, low, high in found]) == pytest.approx(0.95, abs=0.03)


def test_of_one_value_it_is_that_value() -> None:
    assert quantile_interval(np.array([3.0]), 0.9) == (3.0, 3.0, 3.0)
