"""Versions beside each other on the same cases."""

from __future__ import annotations

import numpy as np
import pytest

from ml.common.comparing import compare, verdict_of
from ml.common.curves import curves
from ml.common.metrics import bootstrap_intervals, roc_auc
from ml.common.paired import Difference, paired_differences
from tests.ml.common.test_scored import make

RNG = np.random.default_rng(7)
LABELS = (RNG.random(300) < 0.3).astype(int)
HARD = RNG.normal(size=300)  # what makes a case hard for every model alike
SCORES = 1 / (1 + np.exp(-(1.2 * LABELS + HARD)))
WORSE = 1 / (1 + np.exp(-(0.9 * LABELS + HARD + 0.1 * RNG.normal(size=300))))
CASES = [f"case {i}" for i in range(300)]


def version(scores, labels=LABELS, cases=CASES, **more):
    given = {"names": ("a",), "labels": np.asarray(labels, float)[:, None], **more}
    return make(cases, np.asarray(scores)[:, None], **given)


def auc_of(scores):
    return lambda rows: {"auc": roc_auc(LABELS[rows], scores[rows])}


def test_a_pair_is_told_apart_where_two_intervals_are_not() -> None:
    one = less(auc_of(WORSE))
    assert one.high < 0
    ours, theirs = (
        bootstrap_intervals(auc_of(each), np.arange(300), rounds=100, seed=0)["auc"]
        for each in (SCORES, WORSE)
    )
    assert theirs[1] > ours[0]  # apart they overlap


def test_other_draws_for_each_would_tell_less() -> None:
    """Sabotage: the second is put to draws of its own."""
    own = np.random.default_rng(1)

    def unpaired(rows):
        return auc_of(WORSE)(own.integers(0, 300, len(rows)))

    paired, apart = less(auc_of(WORSE)), less(unpaired)
    assert apart.high - apart.low > 2 * (paired.high - paired.low)


def less(other) -> Difference:
    return paired_differences(auc_of(SCORES), other, np.arange(300), rounds=100, seed=0)["auc"]


def test_the_same_version_twice_differs_by_nothing() -> None:
    told = compare([version(SCORES), version(SCORES)], rounds=20)
    assert told["versions"][1]["differences"]["auc"] == {"value": 0, "low": 0, "high": 0}
    assert told["versions"][1]["flips"] == []


def test_what_each_catches_and_what_flips() -> None:
    cases, labels = ["p", "q", "r", "s", "t"], [1, 1, 1, 0, 0]
    first = version([0.9, 0.9, 0.1, 0.9, 0.1], labels, cases)
    second = version([0.9, 0.2, 0.1, 0.1, 0.8], labels, cases, rows=np.arange(10, 15))
    other = compare([first, second], rounds=5)["versions"][1]
    assert other["overlap"]["a"] == {
        "caught_both": 1, "caught_first": 1, "caught_other": 0, "missed_both": 1,
        "alarm_both": 0, "alarm_first": 1, "alarm_other": 1,
    }  # fmt: skip
    assert {(one["kind"], one["row"]) for one in other["flips"]} == {
        ("now_missed", 11), ("no_longer_false", 13), ("now_false", 14),
    }  # fmt: skip


def test_without_a_shared_case_there_is_nothing_to_say() -> None:
    told = compare([version(SCORES), version(SCORES, cases=[f"other {i}" for i in range(300)])])
    assert (told["n"], told["n_each"], told["versions"]) == (0, [300, 300], [])


def test_a_subgroup_is_judged_by_its_whole_interval() -> None:
    half = {"women": np.arange(300) < 150, "few": np.arange(300) < 5}
    spoilt = np.where(half["women"], SCORES[::-1], SCORES)
    told = compare([version(SCORES, subgroups=half), version(spoilt, subgroups=half)], rounds=50)
    found = told["versions"][1]["subgroups"]
    assert list(found) == ["women"]
    assert found["women"]["verdict"] == "worse"
    intervals = ((-0.01, 0.1), (-0.03, 0.1), (None, None))
    verdicts = [verdict_of(Difference(0.0, low, high)) for low, high in intervals]
    assert verdicts == ["not_worse", "not_shown", "not_shown"]


def test_curves_have_the_area_they_are_drawn_over() -> None:
    drawn = curves(LABELS, SCORES)
    x, y = np.array(drawn["roc"]).T
    assert np.trapezoid(y, x) == pytest.approx(roc_auc(LABELS, SCORES), abs=0.01)
    assert len(x) <= 62
    _, came, low, high, n = np.array(drawn["reliability"]).T
    assert n.sum() == 300
    assert ((low <= came) & (came <= high)).all()
    assert curves(np.ones(5, int), SCORES[:5]) is None


def test_curves_count_a_case_as_often_as_it_stands_for() -> None:
    twice = np.repeat(np.arange(300), np.where(LABELS == 1, 2, 1))
    weighed = curves(LABELS, SCORES, np.where(LABELS == 1, 2.0, 1.0))["precision_recall"]
    counted = curves(LABELS[twice], SCORES[twice])["precision_recall"]
    assert np.interp(0.5, *np.array(weighed).T) == pytest.approx(
        np.interp(0.5, *np.array(counted).T), abs=0.02
    )
