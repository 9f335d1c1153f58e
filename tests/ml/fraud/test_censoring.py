"""A decline without confirmation is unknown; what was let through by a draw stands for what was not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml.common.metrics import average_precision, roc_auc
from ml.fraud import importing
from ml.fraud.censoring import shares_of, weights_of
from ml.fraud.evaluate import evaluate, measures
from ml.fraud.importing import freeze_frame, load_frozen, read_canonical

MAPPING = {name: name for name in importing.COLUMNS}


def read(tmp_path, **columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    base = {
        "occurred_at": pd.date_range("2026-01-01", periods=n, freq="h", tz="UTC"),
        "card_token": [f"c{i}" for i in range(n)], "terminal_id": "t", "amount_minor": 100,
    }  # fmt: skip
    pd.DataFrame({**base, **columns}).to_parquet(tmp_path / "given.parquet")
    return read_canonical(tmp_path / "given.parquet", MAPPING)


GIVEN = {
    "outcome": ["decline", "decline", "decline", "approve", "review"],
    "fraud": [0, 1, 0, 0, 1],
    "label_source": ["", "", "cardholder", "", ""],
}


def test_it_works(tmp_path) -> None:
    """Unknown unless somebody says so; a confirmed fraud stands; it survives freezing and is counted."""
    frame = read(tmp_path, **GIVEN)
    assert frame["fraud"].isna().tolist() == [True, False, False, False, False]
    assert shares_of(frame) == {
        "n_censored": 1, "censored_share": 0.2, "censored_value_share": 0.2, "n_passed_through": 0,
    }  # fmt: skip
    frozen = freeze_frame(frame, tmp_path / "d", "x")
    assert (frozen.n_fraud, frozen.n_censored) == (2, 1)
    assert load_frozen(tmp_path / "d")[0]["fraud"].isna().sum() == 1


def test_without_that_look_a_decline_would_become_legitimate(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importing, "unconfirmed", lambda frame: np.zeros(len(frame), bool))
    assert read(tmp_path, **GIVEN)["fraud"].tolist() == [0, 1, 0, 0, 1]


def test_where_nobody_says_what_was_decided_there_is_no_share(tmp_path) -> None:
    frame = read(tmp_path, fraud=[0, 1])
    assert set(shares_of(frame).values()) == {None}
    assert shares_of(frame.drop(columns=["outcome", "selection_probability"])) == shares_of(frame)
    assert weights_of(frame.drop(columns=["outcome", "selection_probability"])) is None


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("outcome", ["refuse", ""], "Unknown outcomes"),
        ("selection_probability", [0.0, 1.0], "above 0"),
        ("selection_probability", [1.5, 1.0], "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, column, values, says) -> None:
    with pytest.raises(ValueError, match=says):
        read(tmp_path, **{column: values})


def test_the_sample_gives_back_what_declining_hid(tmp_path) -> None:
    """Of 40,000 payments the model declines the suspect and lets a twentieth through: the weighed measures
    lie near those nobody could have had, those of what was let through alone do not."""
    rng = np.random.default_rng(0)
    n = 40_000
    fraud = (rng.random(n) < 0.1).astype(int)
    scores = np.clip(rng.normal(0.3 + 0.3 * fraud, 0.15), 0, 1)
    suspect = scores > 0.55
    passed = suspect & (rng.random(n) < 0.05)
    frame = read(
        tmp_path,
        fraud=fraud.tolist(),
        outcome=np.where(suspect & ~passed, "decline", "approve").tolist(),
        selection_probability=np.where(passed, 0.05, 1.0).tolist(),
    )
    frame["amount_minor"] = 100
    known = frame["fraud"].notna().to_numpy()
    assert shares_of(frame)["n_passed_through"] == passed.sum()
    found = measures(frame[known], scores[known], 0.5, seed=0, bootstrap=0).values
    truth = {"auc": roc_auc(fraud, scores), "ap": average_precision(fraud, scores)}
    plain = frame[known].assign(selection_probability=1.0, outcome="approve")
    naive = measures(plain, scores[known], 0.5, seed=0, bootstrap=0).values
    for name, value in truth.items():
        assert abs(found[name] - value) < abs(naive[name] - value) / 2, name
    assert found["sensitivity"] == pytest.approx((scores[fraud == 1] >= 0.5).mean(), abs=0.03)


def test_a_sample_lets_no_confirmed_decline_count_twice(tmp_path) -> None:
    frame = read(tmp_path, **GIVEN, selection_probability=[1.0, 1.0, 1.0, 0.25, 1.0])
    assert weights_of(frame).tolist() == [0, 0, 0, 4, 1]


def test_a_report_says_what_is_censored(trained, history) -> None:
    late = history.iloc[5000:7000].assign(outcome="approve", label_source="", selection_probability=1.0)
    late.loc[late.index[:20], "outcome"] = "decline"
    late.loc[late.index[:20], "fraud"] = None
    report = evaluate(trained.artefact_dir, events=late, history=history.iloc[:5000], bootstrap=0)
    assert (report.values["n_censored"], report.values["censored_share"]) == (20, 0.01)
    assert report.values["n_excluded"] == 20
