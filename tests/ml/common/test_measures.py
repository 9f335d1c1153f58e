"""Measures agree with scikit-learn's; calibration recovers what was done to the logits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from ml.common.calibration import fit_platt, fit_temperature, sigmoid
from ml.common.metrics import (
    average_precision,
    bootstrap_intervals,
    brier,
    confusion_measures,
    expected_calibration_error,
    positive_predictive_value,
    roc_auc,
    wilson_low,
)


@pytest.fixture
def case() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    logits = np.round(rng.normal(0, 2, 4000), 1)  # rounding makes ties
    return (rng.random(4000) < sigmoid(logits)).astype(int), logits


def test_ranking_measures_agree_with_scikit_learn(case) -> None:
    labels, logits = case
    assert roc_auc(labels, logits) == pytest.approx(reference.roc_auc_score(labels, logits))
    wanted = reference.average_precision_score(labels, logits)
    assert average_precision(labels, logits) == pytest.approx(wanted)
    assert brier(labels, sigmoid(logits)) == pytest.approx(
        reference.brier_score_loss(labels, sigmoid(logits))
    )


def test_weighed_they_agree_too_and_a_weight_is_as_many_cases(case) -> None:
    labels, logits = case
    weights = np.random.default_rng(4).integers(0, 4, len(labels))
    assert roc_auc(labels, logits, weights) == pytest.approx(
        reference.roc_auc_score(labels, logits, sample_weight=weights)
    )
    assert average_precision(labels, logits, weights) == pytest.approx(
        reference.average_precision_score(labels, logits, sample_weight=weights)
    )
    many, scores = np.repeat(labels, weights), np.repeat(sigmoid(logits), weights)
    for measure in (brier, expected_calibration_error):
        assert measure(labels, sigmoid(logits), weights) == pytest.approx(measure(many, scores))
    weighed = confusion_measures(labels, sigmoid(logits), 0.5, weights)
    assert weighed == pytest.approx(confusion_measures(many, scores, 0.5))


def test_one_class_has_no_auc() -> None:
    assert roc_auc(np.ones(3, int), np.arange(3.0)) is None
    assert average_precision(np.zeros(3, int), np.arange(3.0)) is None
    assert confusion_measures(np.ones(2, int), np.ones(2), 0.5)["specificity"] is None


def test_predictive_value_is_of_those_called() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    assert positive_predictive_value(labels, scores, 0.7) == pytest.approx(2 / 3)
    assert positive_predictive_value(labels, scores, 0.95) is None


def test_wilsons_lower_end() -> None:
    # Newcombe 1998, table I: 81 of 263, and 15 of 148.
    assert wilson_low(81 / 263, 263) == pytest.approx(0.2553, abs=1e-4)
    assert wilson_low(15 / 148, 148) == pytest.approx(0.0624, abs=1e-4)
    assert wilson_low(0.5, 0) == 0


def test_temperature_undoes_a_known_overconfidence(case) -> None:
    labels, logits = case
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)
    scale, bias = fit_platt(logits - 1.5, labels)
    assert (scale, bias) == (pytest.approx(1, abs=0.1), pytest.approx(1.5, abs=0.15))
    loss = [reference.log_loss(labels, sigmoid(of)) for of in (logits - 1.5, scale * (logits - 1.5) + bias)]
    assert loss[1] < loss[0]


def test_a_separable_set_keeps_a_finite_scale() -> None:
    scale, _ = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    assert 0 < scale < 100


def test_calibration_error(case) -> None:
    labels, logits = case
    honest = expected_calibration_error(labels, sigmoid(logits))
    assert honest < 0.03
    assert expected_calibration_error(labels, sigmoid(logits * 4)) > 3 * honest


def test_the_interval_resamples_groups_not_rows() -> None:
    rng = np.random.default_rng(0)
    per_group = rng.normal(size=50)
    values, groups = np.repeat(per_group, 40), np.repeat(np.arange(50), 40)

    def mean(rows: np.ndarray) -> dict[str, float | None]:
        return {"mean": float(values[rows].mean()), "undefined": None}

    low, high = bootstrap_intervals(mean, groups, rounds=400, seed=1)["mean"]
    naive_low, naive_high = bootstrap_intervals(mean, np.arange(2000), rounds=400, seed=1)["mean"]
    assert low < values.mean() < high
    assert (high - low) > 3 * (naive_high - naive_low)
    assert "undefined" not in bootstrap_intervals(mean, groups, rounds=10, seed=1)
