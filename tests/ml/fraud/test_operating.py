"""Thresholds from a budget or from costs, and what they come to, on the validation days alone."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from ml.common.artefact import ArtefactError, open_artefact
from ml.fraud.config import TrainConfig
from ml.fraud.contracts import Thresholds
from ml.fraud.heldout import DAY_US, HeldOut, held_out
from ml.fraud.operating import Costs, consequence, curve, for_budget, for_cost
from ml.fraud.splits import split_by_time

DAYS, A_DAY = 10, 200


def frame_of(n_days: float = DAYS, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(n_days * A_DAY)
    fraud = (rng.random(n) < 0.05).astype(int)
    scores = np.clip(rng.normal(0.1 + 0.5 * fraud, 0.15), 0.001, 0.999).round(3)
    start = pd.Timestamp("2026-03-01", tz="UTC")
    frame = pd.DataFrame(
        {
            "occurred_at": (start + pd.to_timedelta(np.arange(n) / A_DAY, unit="D")).as_unit("us"),
            "fraud": pd.array(fraud, dtype="Int8"),
            "amount_minor": rng.integers(100, 50_000, n),
        }
    )
    return frame, scores


@pytest.fixture(scope="module")
def table() -> HeldOut:
    frame, scores = frame_of(DAYS + 0.4)
    return held_out(frame, scores, np.ones(len(frame), bool), np.ones(len(frame)))


def test_it_works(table) -> None:
    """Bytes and back; the day that is not whole is left out; a budget is kept to."""
    again = HeldOut.from_bytes(table.to_bytes())
    assert np.array_equal(again.scores, table.scores)
    assert again.n_days == DAYS
    assert again.payments_of_day.tolist() == [A_DAY] * DAYS
    found = consequence(again, for_budget(again, 12, 0.9), Costs())
    alerts = found.estimates["alerts_per_day"]
    assert 11 < alerts.value <= 12
    assert alerts.low < alerts.value < alerts.high
    assert sum(day.alerts for day in found.days) == pytest.approx(alerts.value * DAYS)
    precision = found.estimates["precision"]
    assert 0.5 < precision.value <= 1


def test_payments_with_one_score_are_alerted_all_or_none(table) -> None:
    for budget in (1, 3.3, 8, 25):
        limits = for_budget(table, budget, 0.9)
        above = table.scores >= limits.review
        assert above.sum() <= budget * DAYS
        following = table.scores[above.sum()]
        assert (above.sum() + (table.scores == following).sum()) > budget * DAYS


def test_what_is_declined_is_as_precise_as_was_asked(table) -> None:
    limits = for_budget(table, 40, 0.95)
    declined = table.scores >= limits.decline
    assert declined.sum() >= 10
    assert (table.labels[declined] == 1).mean() >= 0.95
    assert for_budget(table, 40, 1.0).decline >= limits.decline


def test_nothing_to_look_at_is_no_alert(table) -> None:
    assert for_budget(table, 0, 0.9) == Thresholds(review=1.0, decline=1.0)


def test_no_other_thresholds_cost_less(table) -> None:
    """Against every pair of a grid, and within a budget against every pair that keeps to it."""
    costs = Costs(review_minor=800, review_saves=0.8, decline_saves=1.0, good_decline_minor=6000)
    grid = [Thresholds(r, d) for r in np.linspace(0, 1, 60) for d in np.linspace(0, 1, 60) if d >= r]
    tried = [consequence(table, one, costs).estimates for one in grid]
    for budget in (None, 8.0):
        best = consequence(table, for_cost(table, costs, budget), costs).estimates
        kept = [one for one in tried if budget is None or one["alerts_per_day"].value <= budget]
        assert best["cost_minor_per_day"].value <= min(o["cost_minor_per_day"].value for o in kept) + 1e-6
        assert budget is None or best["alerts_per_day"].value <= budget


def test_dear_looks_mean_fewer_of_them(table) -> None:
    cheap, dear = (
        consequence(table, for_cost(table, Costs(review_minor=one)), Costs()).estimates for one in (50, 9000)
    )
    assert dear["alerts_per_day"].value < cheap["alerts_per_day"].value


def test_saved_and_lost_add_up_to_all_fraud(table) -> None:
    costs = Costs(review_minor=0, good_decline_minor=0)
    found = consequence(table, for_budget(table, 9, 0.9), costs).estimates
    assert found["saved_minor_per_day"].value + found["cost_minor_per_day"].value == pytest.approx(
        found["fraud_minor_per_day"].value
    )


def test_what_is_not_known_is_an_alert_and_no_verdict() -> None:
    frame, scores = frame_of()
    limit = float(np.quantile(scores, 0.98))
    table = held_out(frame, scores, scores < limit, np.ones(len(frame)))
    found = consequence(table, Thresholds(limit, limit), Costs()).estimates
    assert found["unknown_share"].value == 1
    assert found["alerts_per_day"].value > 3
    assert found["precision"].value is None
    assert found["good_declined_per_day"].value == 0


def test_days_whose_labels_came_too_late_are_no_quiet_days() -> None:
    """They are left out; a day of which some stay unknown is not."""
    frame, scores = frame_of(DAYS + 0.4)
    day = np.arange(len(frame)) // A_DAY
    some = np.arange(len(frame)) % 5 > 0
    table = held_out(frame, scores, some & (day < 6), np.ones(len(frame)))
    assert table.n_days == 6
    found = consequence(table, Thresholds(0.0, 1.0), Costs()).estimates
    assert found["unknown_share"].value == pytest.approx(0.2)
    assert found["alerts_per_day"].value == A_DAY


def test_rows_beyond_the_limit_are_counted(monkeypatch) -> None:
    frame, scores = frame_of()
    whole = held_out(frame, scores, np.ones(len(frame), bool), np.ones(len(frame)))
    monkeypatch.setattr("ml.fraud.heldout.ROWS_MAX", 300)
    short = held_out(frame, scores, np.ones(len(frame), bool), np.ones(len(frame)))
    assert len(short.scores) == 300
    limits = for_budget(whole, 20, 0.9)
    assert for_budget(short, 20, 0.9) == limits
    assert consequence(short, limits, Costs()) == consequence(whole, limits, Costs())


def test_the_curve_rises_within_its_band(table) -> None:
    points = curve(table)
    alerts, recall, low, high = np.array(points).T
    assert (np.diff(alerts) > 0).all() and (np.diff(recall) >= 0).all()
    assert (low <= recall + 1e-9).all() and (recall <= high + 1e-9).all()


def test_without_a_known_fraud_nothing_is_divided() -> None:
    frame, scores = frame_of()
    frame["fraud"] = pd.array([0] * len(frame), dtype="Int8")
    table = held_out(frame, scores, np.ones(len(frame), bool), np.ones(len(frame)))
    found = consequence(table, for_budget(table, 5, 0.9), Costs()).estimates
    assert found["recall"].value is None
    assert found["precision"].value == 0
    assert curve(table) == []


def test_training_keeps_its_validation_days_and_nothing_of_its_test(trained, history) -> None:
    artefact = open_artefact(trained.artefact_dir, trained.artefact_hash)
    table = HeldOut.from_bytes(artefact.path("heldout.npz").read_bytes())
    at = history["occurred_at"].astype("int64").to_numpy()
    split = split_by_time(history["occurred_at"])
    assert table.start_us[0] == at[split == "val"][0]
    ends_us = int(table.start_us[0]) + table.n_days * DAY_US
    assert ends_us <= at[split == "val"][-1] < at[split == "test"][0]
    in_it = (at >= table.start_us[0]) & (at < ends_us)
    assert table.payments_of_day.sum() == in_it.sum()
    share = TrainConfig().review_share
    chosen = for_budget(table, share * table.payments_of_day.mean(), TrainConfig().decline_precision)
    assert trained.metrics["thresholds"] == {"review": chosen.review, "decline": chosen.decline}


def test_an_artefact_with_another_table_is_not_served(trained, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.artefact_dir, copy)
    (copy / "heldout.npz").write_bytes(b"PK")
    with pytest.raises(ArtefactError, match="heldout"):
        open_artefact(copy, trained.artefact_hash)
