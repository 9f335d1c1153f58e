"""Measure an artefact on labelled films, through the same decoding and preprocessing that serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.metrics import (
    average_precision,
    bootstrap_intervals,
    brier,
    confusion_measures,
    expected_calibration_error,
    positive_predictive_value,
    roc_auc,
)
from ml.radiology.contracts import DecodedImage, EvaluationReport
from ml.radiology.importing import read_table
from ml.radiology.parsing import Limits
from ml.radiology.predict import RadiologyPredictor
from ml.radiology.reading import read_films
from ml.radiology.subgroups import subgroups_of

BATCH = 64
MEASURES = ("auc", "ap", "accuracy", "sensitivity", "specificity", "ppv", "brier", "ece")
OF_SUBGROUPS = ("auc", "sensitivity", "specificity", "ppv")
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Measures = dict[str, float | None]


def evaluate(
    artefact_dir: Path,
    *,
    images: Path,
    labels_csv: Path,
    findings: list[str],
    seed: int = 0,
    bootstrap: int = 200,
    variant: str = "",
) -> EvaluationReport:
    """In the form that is named. Films that cannot be read, or have no label, are counted and not measured.

    Raises ValueError for a table, images or findings that do not fit.
    """
    predictor = RadiologyPredictor.load(artefact_dir, variant=variant)
    columns = [known_label(predictor, finding) for finding in findings]
    table, names = read_table(labels_csv, findings)
    labels = table[[f"finding:{name}" for name in names]].to_numpy(np.float32)
    scores = _scores(predictor, images, list(table["file"]))[:, columns]
    usable = ~np.isnan(scores[:, 0]) & ~np.isnan(labels).all(1)
    if not usable.any():
        raise ValueError("None of the table's images has both a label and pixels that can be read.")
    report = measures(
        labels[usable], scores[usable], [predictor.operating_points[column] for column in columns],
        [predictor.labels[column] for column in columns], table[usable], seed, bootstrap,
    )  # fmt: skip
    return EvaluationReport({**report.values, "n_excluded": int((~usable).sum())}, report.intervals)


def known_label(predictor: RadiologyPredictor, finding: str) -> int:
    """The artefact's label of this name, whatever its case. Raises ValueError naming those it has."""
    lowered = [label.lower() for label in predictor.labels]
    if finding.lower() not in lowered:
        raise ValueError(f"The model does not know {finding!r}. It knows {', '.join(predictor.labels)}.")
    return lowered.index(finding.lower())


def _scores(predictor: RadiologyPredictor, images: Path, files: list[str]) -> Floats:
    """Probabilities (n, labels) in the order of `files`; NaN for what cannot be read."""
    scores = np.full((len(files), len(predictor.labels)), np.nan)
    waiting: list[tuple[int, Any]] = []

    def flush() -> None:
        if waiting:
            squares = np.stack([square for _, square in waiting])
            scores[[row for row, _ in waiting]] = predictor.probabilities(squares)
            waiting.clear()

    for row, film in read_films(images, files, Limits()):
        if isinstance(film, DecodedImage):
            waiting.append((row, predictor.preprocessing.squares([film.pixels])[0]))
        if len(waiting) >= BATCH:
            flush()
    flush()
    return scores


def measures(
    labels: Floats, scores: Floats, thresholds: Sequence[float | None], names: Sequence[str],
    table: pd.DataFrame, seed: int, bootstrap: int,
) -> EvaluationReport:  # fmt: skip
    """Every measure, averaged over findings, with its interval over resampled patients; of each finding; and
    a few for each sex, age band and view the table tells of.

    `labels` (n, findings) NaN where unknown, `scores` probabilities of the same shape, `table` with a row a
    film and a patient_id. The threshold of an average over several findings is None; so is what a finding
    without a threshold (too little evidence to set one) would have there.
    """
    patients = np.asarray(table["patient_id"], object)
    of = _averages(MEASURES, labels, scores, thresholds, apart=True)
    values: dict[str, Any] = of(np.arange(len(labels)))
    intervals = bootstrap_intervals(of, patients, rounds=bootstrap, seed=seed)
    each = dict(zip(names, (_apart(values, intervals, i) for i in range(len(names))), strict=True))
    for i, (name, threshold) in enumerate(zip(names, thresholds, strict=True)):
        known = labels[~np.isnan(labels[:, i]), i]
        each[name] |= {"n": len(known), "n_positive": int(known.sum()), "threshold": threshold}
    about = {
        "n": len(labels), "n_excluded": 0, "threshold": thresholds[0] if len(names) == 1 else None,
        "cp100": None, "findings": each,
    }  # fmt: skip
    if groups := _subgroups(labels, scores, thresholds, table, seed, bootstrap):
        about["subgroups"] = groups
    overall = {name: values[name] for name in MEASURES}
    return EvaluationReport({**overall, **about}, {n: pair for n, pair in intervals.items() if n in MEASURES})


def _averages(
    wanted: Sequence[str], labels: Floats, scores: Floats, thresholds: Sequence[float | None],
    *, apart: bool = False,
) -> Callable[[Any], dict[str, float | None]]:  # fmt: skip
    """A function from rows to the measures averaged over findings and, if `apart`, of each as "0 auc"."""

    def of(rows: Any) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for name in wanted:
            one = [_MEASURE[name](labels[rows, i], scores[rows, i], t) for i, t in enumerate(thresholds)]
            found[name] = _mean(one)
            if apart:
                found |= {f"{i} {name}": value for i, value in enumerate(one)}
        return found

    return of


def _apart(
    values: Mapping[str, float | None], intervals: Mapping[str, tuple[float, float]], i: int
) -> dict[str, Any]:
    """One finding's measures and intervals."""
    found: dict[str, Any] = {name: values[f"{i} {name}"] for name in MEASURES}
    its = {name: list(intervals[f"{i} {name}"]) for name in MEASURES if f"{i} {name}" in intervals}
    return {**found, "intervals": its} if its else found


def _subgroups(
    labels: Floats, scores: Floats, thresholds: Sequence[float | None], table: pd.DataFrame, seed: int,
    bootstrap: int,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    patients = np.asarray(table["patient_id"], object)
    for name, those in subgroups_of(table).items():
        of = _averages(OF_SUBGROUPS, labels[those], scores[those], thresholds)
        found[name] = {**of(np.arange(int(those.sum()))), "n": int(those.sum())}
        if bootstrap:
            intervals = bootstrap_intervals(of, patients[those], rounds=bootstrap, seed=seed)
            found[name]["intervals"] = {key: list(pair) for key, pair in intervals.items()}
    return found


def _known(measure: Any) -> Any:
    """Only films whose label is known; None where there is none, or no threshold that is needed."""

    def masked(labels: Floats, scores: Floats, threshold: float | None) -> float | None:
        rows = ~np.isnan(labels)
        if not rows.any():
            return None
        value: float | None = measure(labels[rows].astype(int), scores[rows], threshold)
        return value

    return masked


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _at_threshold(name: str) -> Any:
    def measure(labels: Ints, scores: Floats, threshold: float | None) -> float | None:
        if threshold is None:
            return None
        if name == "ppv":
            return positive_predictive_value(labels, scores, threshold)
        return confusion_measures(labels, scores, threshold)[name]

    return _known(measure)


_MEASURE: dict[str, Any] = {
    "auc": _known(lambda y, p, t: roc_auc(y, p)),
    "ap": _known(lambda y, p, t: average_precision(y, p)),
    **{name: _at_threshold(name) for name in ("accuracy", "sensitivity", "specificity", "ppv")},
    "brier": _known(lambda y, p, t: brier(y, p)),
    "ece": _known(lambda y, p, t: expected_calibration_error(y, p)),
}
