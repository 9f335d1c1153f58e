"""Folds of the training time: each is scored by what was known before its days began."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml.common.contracts import FoldRequest
from ml.fraud import folds
from ml.fraud.folds import rows_of, train_fold
from ml.fraud.importing import load_frozen


@pytest.fixture(scope="module")
def frozen(request_for) -> pd.DataFrame:
    return load_frozen(request_for().dataset_dir)[0]


def test_each_fold_learns_from_what_was_known_before_it(frozen) -> None:
    trains = set(frozen.loc[frozen["split"] == "train", "event_id"])
    scored: list[set[str]] = []
    for number in (1, 2, 3):
        frame, parts = rows_of(frozen, FoldRequest(number, 3, 0))
        begins = frame["occurred_at"][parts["test"]].min()
        for name in ("train", "val"):
            assert parts[name].any()
            assert (frame["label_known_at"][parts[name]] <= begins).all()
        assert frame["occurred_at"][parts["train"]].max() < frame["occurred_at"][parts["val"]].min()
        assert set(frame["event_id"][np.logical_or.reduce(list(parts.values()))]) <= trains
        assert not set(frame["event_id"]) & set(
            frozen.loc[frozen["split"].isin(["val", "test", "gate"]), "event_id"]
        )
        scored.append(set(frame["event_id"][parts["test"]]))
    assert not scored[0] & scored[1] and not scored[1] & scored[2]
    last = frozen["event_id"][frozen["split"] == "train"].iloc[-1]
    assert last in scored[2]


def test_were_the_labels_delay_forgotten_a_fold_would_learn_from_the_future(frozen) -> None:
    """Sabotage: labels that are known at once."""
    told = frozen.assign(label_known_at=frozen["occurred_at"])
    frame, parts = rows_of(told, FoldRequest(1, 3, 0))
    late = frozen.set_index("event_id")["label_known_at"].loc[frame["event_id"][parts["val"]]]
    assert (late > frame["occurred_at"][parts["test"]].min()).any()


def test_too_few_days_are_said(frozen) -> None:
    late = frozen.assign(label_known_at=frozen["occurred_at"] + pd.Timedelta(days=60))
    with pytest.raises(ValueError, match="Nothing was known yet when the days of fold 2 began"):
        rows_of(late, FoldRequest(2, 3, 0))


def test_a_fold_is_measured_and_makes_no_artefact(request_for, monkeypatch) -> None:
    monkeypatch.setattr(folds, "BOOTSTRAP", 20)
    request, told = request_for(), []
    measured = train_fold(request, FoldRequest(3, 3, 0), told.append)
    _, parts = rows_of(load_frozen(request.dataset_dir)[0], FoldRequest(3, 3, 0))
    assert (measured["n"], measured["n_train"]) == (parts["test"].sum(), parts["train"].sum())
    low, high = measured["intervals"]["auc"]
    assert low <= measured["auc"] <= high
    assert told[-1].phase == "done"
    assert not request.output_dir.exists()
