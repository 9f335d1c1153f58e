"""Measure an artefact on labelled films, through the same decoding and preprocessing that serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.metrics import (
    average_precision,
    bootstrap_intervals,
    brier,
    confusion_measures,
    expected_calibration_error,
    roc_auc,
)
from ml.radiology.contracts import DecodedImage, EvaluationReport
from ml.radiology.importing import read_table
from ml.radiology.parsing import Limits
from ml.radiology.predict import RadiologyPredictor
from ml.radiology.reading import read_films

BATCH = 64
MEASURES = ("auc", "ap", "accuracy", "sensitivity", "specificity", "brier", "ece")
Floats = npt.NDArray[np.floating]
Measures = dict[str, float | None]


def evaluate(
    artefact_dir: Path,
    *,
    images: Path,
    labels_csv: Path,
    findings: list[str],
    seed: int = 0,
    bootstrap: int = 200,
) -> EvaluationReport:
    """Films that cannot be read, or have no label, are counted and not measured.

    Raises ValueError for a table, images or findings that do not fit.
    """
    predictor = RadiologyPredictor.load(artefact_dir)
    columns = [known_label(predictor, finding) for finding in findings]
    table, names = read_table(labels_csv, findings)
    labels = table[[f"finding:{name}" for name in names]].to_numpy(np.float32)
    scores = _scores(predictor, images, list(table["file"]))[:, columns]
    usable = ~np.isnan(scores[:, 0]) & ~np.isnan(labels).all(1)
    if not usable.any():
        raise ValueError("None of the table's images has both a label and pixels that can be read.")
    report = measures(
        labels[usable], scores[usable], predictor.operating_points[columns],
        [predictor.labels[column] for column in columns], list(table["patient_id"][usable]), seed, bootstrap,
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
    labels: Floats, scores: Floats, thresholds: Floats, names: Sequence[str], patients: Sequence[str],
    seed: int, bootstrap: int,
) -> EvaluationReport:  # fmt: skip
    """Every measure, averaged over findings, with its interval over resampled patients; and of each finding.

    `labels` (n, findings) NaN where unknown, `scores` probabilities of the same shape. The threshold of an
    average over several findings is None.
    """
    each = [_one(labels[:, i], scores[:, i], float(thresholds[i])) for i in range(len(names))]
    values: dict[str, Any] = {name: _mean([one[name] for one in each]) for name in MEASURES}

    limits = list(enumerate(thresholds))

    def averaged(rows: Any) -> dict[str, float | None]:
        return {
            name: _mean([_MEASURE[name](labels[rows, i], scores[rows, i], float(t)) for i, t in limits])
            for name in MEASURES
        }

    intervals = bootstrap_intervals(averaged, patients, rounds=bootstrap, seed=seed)
    about = {
        "n": len(labels), "n_excluded": 0, "threshold": float(thresholds[0]) if len(names) == 1 else None,
        "cp100": None, "findings": dict(zip(names, each, strict=True)),
    }  # fmt: skip
    return EvaluationReport({**values, **about}, intervals)


def _one(labels: Floats, scores: Floats, threshold: float) -> dict[str, Any]:
    known = labels[~np.isnan(labels)]
    values: dict[str, Any] = {name: _MEASURE[name](labels, scores, threshold) for name in MEASURES}
    return {**values, "n": len(known), "n_positive": int(known.sum()), "threshold": threshold}


def _known(measure: Any) -> Any:
    """Only films whose label is known; None where there is none."""

    def masked(labels: Floats, scores: Floats, threshold: float) -> float | None:
        rows = ~np.isnan(labels)
        if not rows.any():
            return None
        value: float | None = measure(labels[rows].astype(int), scores[rows], threshold)
        return value

    return masked


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


_MEASURE: dict[str, Any] = {
    "auc": _known(lambda y, p, t: roc_auc(y, p)),
    "ap": _known(lambda y, p, t: average_precision(y, p)),
    "accuracy": _known(lambda y, p, t: confusion_measures(y, p, t)["accuracy"]),
    "sensitivity": _known(lambda y, p, t: confusion_measures(y, p, t)["sensitivity"]),
    "specificity": _known(lambda y, p, t: confusion_measures(y, p, t)["specificity"]),
    "brier": _known(lambda y, p, t: brier(y, p)),
    "ece": _known(lambda y, p, t: expected_calibration_error(y, p)),
}
