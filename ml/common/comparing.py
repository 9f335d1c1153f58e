"""Versions beside each other on the test cases they share; everything is JSON at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ml.common.curves import curves_of
from ml.common.metrics import (
    average_precision,
    brier,
    confusion_measures,
    expected_calibration_error,
    roc_auc,
)
from ml.common.paired import Difference, paired_differences
from ml.common.scored import UNKNOWN, Bools, Floats, Ints, Scored, in_common

CASES_MAX = 20_000
ROUNDS = 200
MARGIN = 0.02  # of AUC, within which a version is not called worse
SUBGROUP_MIN = 20  # cases
FLIPS = 8  # shown of each kind
MEASURES = ("auc", "ap", "sensitivity", "specificity", "brier", "ece")
Measured = Callable[[Any], dict[str, float | None]]


def compare(versions: Sequence[Scored], *, seed: int = 0, rounds: int = ROUNDS) -> dict[str, Any]:
    """Every version against the first. `n` is how many cases all of them have; with none there is no more.

    Differences are the version's less the first's, with intervals over resampled patients or cards that both
    were put to alike. Findings are averaged, but in `curves` and `overlap`, which have each.
    """
    cut = in_common(versions, CASES_MAX)
    names, n = [str(name) for name in cut[0].names], len(cut[0].cases)
    about = {"n": n, "n_each": [len(one.cases) for one in versions], "names": names, "margin": MARGIN}
    if not n or not names:
        return {**about, "n": 0, "versions": []}
    return {**about, "versions": [_against(cut[0], one, seed, rounds) for one in cut]}


def _against(first: Scored, one: Scored, seed: int, rounds: int) -> dict[str, Any]:
    told: dict[str, Any] = {"measures": measured(one)(np.arange(len(one.cases))), "curves": curves_of(one)}
    if one is first:
        return told
    differences = paired_differences(measured(first), measured(one), one.groups, rounds=rounds, seed=seed)
    return {
        **told,
        "differences": {name: asdict(each) for name, each in differences.items()},
        "subgroups": _subgroups(first, one, seed, rounds),
        "overlap": _overlap(first, one),
        "flips": flips(first, one),
    }


def measured(one: Scored, wanted: Sequence[str] = MEASURES) -> Measured:
    """A function from rows to the measures, averaged over the findings that have them."""
    parts = [_column(one, column) for column in range(len(one.names))]

    def of(rows: Any) -> dict[str, float | None]:
        each = [_of_column(rows, wanted, *part) for part in parts]
        return {name: _mean([found[name] for found in each]) for name in wanted}

    return of


def _column(one: Scored, column: int) -> tuple[Ints, Floats, Floats | None, float]:
    weights = None if (one.weights == 1).all() else one.weights.astype(np.float64)
    return one.labels[:, column], one.scores[:, column], weights, float(one.points[column])


def _of_column(
    rows: Any, wanted: Sequence[str], labels: Ints, scores: Floats, weights: Floats | None, point: float
) -> dict[str, float | None]:
    rows = rows[labels[rows] != UNKNOWN]
    given = labels[rows], scores[rows]
    weighed = None if weights is None else weights[rows]
    found: dict[str, float | None] = {}
    if "auc" in wanted:
        found["auc"] = roc_auc(*given, weighed)
    if "ap" in wanted:
        found["ap"] = average_precision(*given, weighed)
    if "brier" in wanted:
        found["brier"] = brier(*given, weighed)
    if "ece" in wanted:
        found["ece"] = expected_calibration_error(*given, weighed)
    if "sensitivity" in wanted:
        called = {} if np.isnan(point) else confusion_measures(*given, point, weighed)
        found |= {name: called.get(name) for name in ("sensitivity", "specificity")}
    return found


def _subgroups(first: Scored, one: Scored, seed: int, rounds: int) -> dict[str, Any]:
    """AUC of each subgroup the first knows of too, and whether it is shown to be no worse than the margin."""
    found = {}
    known = [str(name) for name in first.subgroup_names]
    for name in (str(each) for each in one.subgroup_names if each in known):
        rows = np.flatnonzero(first.subgroups[:, known.index(name)])
        if len(rows) < SUBGROUP_MIN:
            continue
        ours, theirs = first.at(rows), one.at(rows)
        of = (measured(ours, ("auc",)), measured(theirs, ("auc",)))
        each = paired_differences(*of, ours.groups, rounds=rounds, seed=seed)["auc"]
        before, after = (measure(np.arange(len(rows)))["auc"] for measure in of)
        found[name] = {
            "n": len(rows), "first": before, "auc": after, **asdict(each), "verdict": verdict_of(each),
        }  # fmt: skip
    return found


def verdict_of(difference: Difference, margin: float = MARGIN) -> str:
    """not_worse | worse | not_shown: by where the whole interval lies against -margin."""
    if difference.low is None or difference.high is None:
        return "not_shown"
    if difference.low >= -margin:
        return "not_worse"
    return "worse" if difference.high < -margin else "not_shown"


def _overlap(first: Scored, one: Scored) -> dict[str, dict[str, int]]:
    """Finding -> of its cases how many both catch at their own operating point, one alone, or neither; and of
    those without it how many are called by both, or one alone. Cases are counted, not weighed."""
    calls = [first.called(), one.called()]
    found = {}
    for column, name in enumerate(first.names):
        if np.isnan(first.points[column]) or np.isnan(one.points[column]):
            continue
        ours, theirs = (each[:, column] for each in calls)
        there, absent = first.labels[:, column] == 1, first.labels[:, column] == 0
        found[str(name)] = {
            "caught_both": _count(there & ours & theirs),
            "caught_first": _count(there & ours & ~theirs),
            "caught_other": _count(there & ~ours & theirs),
            "missed_both": _count(there & ~ours & ~theirs),
            "alarm_both": _count(absent & ours & theirs),
            "alarm_first": _count(absent & ours & ~theirs),
            "alarm_other": _count(absent & ~ours & theirs),
        }
    return found


def flips(first: Scored, one: Scored) -> list[dict[str, Any]]:
    """Cases that one calls and the other does not, at their own operating points: now caught, missed, raised
    or let be, of each kind those whose score moved most. `row` is that of the version's own dataset."""
    kinds = {
        (1, True): "now_caught", (1, False): "now_missed",
        (0, True): "now_false", (0, False): "no_longer_false",
    }  # fmt: skip
    ours, theirs = first.called(), one.called()
    both = ~np.isnan(first.points) & ~np.isnan(one.points)
    found: list[dict[str, Any]] = []
    for (label, called), kind in kinds.items():
        rows, columns = np.nonzero((first.labels == label) & (ours != theirs) & (theirs == called) & both)
        moved = np.abs(one.scores[rows, columns] - first.scores[rows, columns])
        for at in np.argsort(-moved, kind="stable")[:FLIPS]:
            row, column = rows[at], columns[at]
            found.append(
                {
                    "kind": kind, "finding": str(one.names[column]), "row": int(one.rows[row]),
                    "first": float(first.scores[row, column]), "first_point": float(first.points[column]),
                    "score": float(one.scores[row, column]), "point": float(one.points[column]),
                }
            )  # fmt: skip
    return found


def _count(which: Bools) -> int:
    return int(which.sum())


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
