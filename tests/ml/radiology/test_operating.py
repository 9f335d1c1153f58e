"""Operating points that are sure of their target, calibration on films of its own, measures by subgroup."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml.common.metrics import wilson_low
from ml.radiology.evaluate import measures
from ml.radiology.operating import calibration_fold, operating_point, patients_needed, temperatures
from ml.radiology.subgroups import age_years, subgroups_of, validated_on


def cases(n: int = 400, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n).astype(float)
    return labels, labels + rng.normal(0, 0.7, n), [f"p{i}" for i in range(n)]


def test_the_point_is_the_highest_whose_lower_bound_reaches_the_target() -> None:
    labels, scores, patients = cases()
    point = operating_point(labels, scores, patients, 0.9)
    positives, n = scores[labels == 1], int(labels.sum())
    assert wilson_low(float((positives >= point).mean()), n) >= 0.9
    above = positives[positives > point].min()
    assert wilson_low(float((positives >= above).mean()), n) < 0.9
    # Sure of it: more are found than the target alone would ask for.
    assert (positives >= point).mean() > 0.92


def test_too_few_patients_are_insufficient_evidence() -> None:
    needed = patients_needed(0.9)
    labels, scores = np.ones(needed), np.arange(needed) / needed
    patients = [str(i) for i in range(needed)]
    assert operating_point(labels, scores, patients, 0.9) == 0
    assert operating_point(labels[1:], scores[1:], patients[1:], 0.9) is None
    # As many films of half the patients are no more evidence than half the films.
    assert operating_point(labels, scores, [str(i // 2) for i in range(needed)], 0.9) is None


def test_unknown_labels_are_no_cases() -> None:
    labels, scores, patients = cases()
    hidden = np.where(np.arange(len(labels)) % 2, labels, np.nan)
    shown = hidden[1::2], scores[1::2], patients[1::2]
    assert operating_point(hidden, scores, patients, 0.8) == operating_point(*shown, 0.8)


def test_over_many_draws_the_target_is_kept() -> None:
    """On new cases the sensitivity misses the target about as rarely as the bound promises."""
    kept = 0
    for seed in range(200):
        labels, scores, patients = cases(150, seed)
        point = operating_point(labels, scores, patients, 0.8)
        new_labels, new_scores, _ = cases(4000, 1000 + seed)
        kept += bool((new_scores[new_labels == 1] >= point).mean() >= 0.8)
    assert kept >= 190


def test_a_naive_threshold_would_not_keep_it() -> None:
    """The same without the bound: the guard is what keeps the promise."""
    kept = 0
    for seed in range(200):
        labels, scores, _ = cases(150, seed)
        point = np.quantile(scores[labels == 1], 0.2)
        new_labels, new_scores, _ = cases(4000, 1000 + seed)
        kept += bool((new_scores[new_labels == 1] >= point).mean() >= 0.8)
    assert kept < 140


def test_calibration_has_patients_of_its_own() -> None:
    groups = np.arange(90) // 3
    patterns = ["1" if i < 45 else "0" for i in range(90)]
    rows = np.arange(10, 90)
    choosing, calibrating = calibration_fold(groups, patterns, rows)
    assert sorted([*choosing, *calibrating]) == list(rows)
    assert not {groups[i] for i in choosing} & {groups[i] for i in calibrating}
    assert 0.25 < len(calibrating) / len(rows) < 0.42
    assert {patterns[i] for i in calibrating} == {"0", "1"}


def test_a_temperature_a_finding() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (5000, 2))
    labels = (rng.random((5000, 2)) < 1 / (1 + np.exp(-honest))).astype(float)
    labels[::7, 0] = np.nan
    found = temperatures(honest * [3.0, 0.5], labels)
    assert found == pytest.approx([3.0, 0.5], rel=0.1)
    assert temperatures(honest, np.zeros((5000, 2))).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "years"), [("58", 58), ("058Y", 58), ("006M", 0.5), ("", None), ("old", None), ("411", None)]
)
def test_ages(text: str, years: float | None) -> None:
    assert age_years(text) == years


def test_subgroups_come_from_the_tables_own_columns() -> None:
    n = 120
    table = pd.DataFrame({
        "patient_id": [str(i // 2) for i in range(n)],
        "meta:Sex": ["F", "m"] * (n // 2),
        "meta:age": ["070Y"] * 50 + ["30"] * 50 + ["006M"] * 20,
        "meta:view": ["PA"] * 110 + ["AP"] * 10,
    })  # fmt: skip
    assert {name: int(rows.sum()) for name, rows in subgroups_of(table).items()} == {
        "sex male": 60, "sex female": 60, "age 0 to 1": 20, "age 18 to 39": 50, "age 65 and over": 50,
        "view PA": 110,
    }  # fmt: skip
    assert validated_on(table) == {"age_years": [0.5, 70.0]}
    assert subgroups_of(table[["patient_id"]]) == {}
    assert validated_on(table[["patient_id"]]) == {"age_years": None}
    labels = np.tile([[1.0], [0.0]], (n // 2, 1))
    scores = np.where(np.arange(n) < 100, labels[:, 0] * 0.8 + 0.1, 0.5)[:, None]
    report = measures(labels, scores, [0.4], ["Effusion"], table, 0, 20)
    groups = report.values["subgroups"]
    assert (groups["age 65 and over"]["auc"], groups["age 0 to 1"]["auc"]) == (1.0, 0.5)
    assert groups["view PA"]["n"] == 110
    assert groups["view PA"]["intervals"]["ppv"][0] <= groups["view PA"]["ppv"]
    alone = report.values["findings"]["Effusion"]
    assert alone["intervals"]["ppv"] == list(report.intervals["ppv"])
    without = measures(labels, scores, [None], ["Effusion"], table, 0, 0).values
    assert (without["sensitivity"], without["ppv"], without["threshold"]) == (None, None, None)
    assert without["auc"] == report.values["auc"]
