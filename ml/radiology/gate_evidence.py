"""The evidence a film model brings to the gate: candidate and champion on the locked films, by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.gate import (
    LOCKED,
    TAUGHT,
    GateLine,
    GateReport,
    GateRequest,
    above_chance,
    differences,
    latency_line,
    level_of_parts,
    locked_line,
    lone_line,
    open_candidate,
    open_champion,
    part_line,
    quality_line,
    timed_ms,
)
from ml.common.metrics import roc_auc
from ml.radiology.contracts import SmallFilm
from ml.radiology.importing import Dataset, load_frozen
from ml.radiology.predict import RadiologyPredictor
from ml.radiology.subgroups import subgroups_of

MARGIN = 0.05  # of AUC
BATCH = 64
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]


def gate(request: GateRequest, progress: ProgressCallback) -> GateReport:
    """AUC averaged over the findings both know, of each finding and of each subgroup; golden inputs; latency.

    Raises ValueError for a dataset that is not what was frozen.
    """
    progress(ProgressEvent("open", message="replaying golden inputs"))
    candidate, golden = open_candidate(RadiologyPredictor.load, request.candidate)
    if candidate is None:
        return GateReport((golden,))
    champion, lines = open_champion(RadiologyPredictor.load, request.champion)
    dataset = load_frozen(request.candidate.dataset_dir)
    locked = dataset.table["split"].to_numpy() == LOCKED
    rows = np.flatnonzero(locked & ~_taught(dataset, request))
    lines = [golden, *lines, locked_line(int(locked.sum()), len(rows))]
    if not len(rows):
        return GateReport(tuple(lines))
    labels = _findings(dataset, candidate, champion)
    scores = {
        name: _scores(predictor, dataset, rows, labels, name, progress)
        for name, predictor in (("candidate", candidate), ("champion", champion))
        if predictor is not None
    }
    progress(ProgressEvent("compare", message="drawing patients again and again"))
    lines += _lost(dataset, candidate, champion)
    lines += _compared(dataset, rows, labels, scores, request.seed)
    film = SmallFilm(dataset.film(int(rows[0])), dataset.film(int(rows[0])).shape)
    progress(ProgressEvent("latency", message="one film at a time"))
    calls = {"candidate": lambda: candidate.judge([film])}
    if champion is not None:
        calls["champion"] = lambda: champion.judge([film])
    lines.append(latency_line(timed_ms(calls), request))
    return GateReport(tuple(lines), len(rows), int(locked.sum()) - len(rows))


def _taught(dataset: Dataset, request: GateRequest) -> Bools:
    """Which films, or others of their patients, taught the candidate or the champion."""
    tables = [dataset.table]
    if request.champion is not None and request.champion.dataset_dir != request.candidate.dataset_dir:
        tables.append(load_frozen(request.champion.dataset_dir).table)
    known = pd.concat([table[table["split"].isin(TAUGHT)] for table in tables])
    seen = [dataset.table[key].isin(known[key]).to_numpy(bool) for key in ("patient_id", "pixel_sha256")]
    return seen[0] | seen[1]


def _findings(
    dataset: Dataset, candidate: RadiologyPredictor, champion: RadiologyPredictor | None
) -> list[str]:
    known = set(candidate.labels) & set(dataset.findings)
    return sorted(known & set(champion.labels) if champion else known)


def _lost(
    dataset: Dataset, candidate: RadiologyPredictor, champion: RadiologyPredictor | None
) -> list[GateLine]:
    """What the champion finds and the candidate never would."""
    if champion is None:
        return []
    lost = sorted(set(champion.labels) - set(candidate.labels))
    said = (
        f"It no longer looks for {', '.join(lost)}." if lost else "It looks for all the champion looks for."
    )
    return [GateLine("findings", "Findings", not lost, said)]


def _scores(
    predictor: RadiologyPredictor, dataset: Dataset, rows: Ints, labels: Sequence[str], name: str,
    progress: ProgressCallback,
) -> Floats:  # fmt: skip
    """Probabilities (n, labels)."""
    parts = []
    for start in range(0, len(rows), BATCH):
        films = [predictor.preprocessing.fit(dataset.film(int(row))) for row in rows[start : start + BATCH]]
        parts.append(predictor.probabilities(np.stack(films)))
        progress(ProgressEvent(name, step=min(len(rows), start + BATCH), steps=len(rows)))
    return np.concatenate(parts)[:, [predictor.labels.index(label) for label in labels]]


def _compared(
    dataset: Dataset, rows: Ints, labels: Sequence[str], scores: Mapping[str, Floats], seed: int
) -> list[GateLine]:
    truth = dataset.labels[rows][:, [dataset.findings.index(label) for label in labels]]
    table = dataset.table.iloc[rows]
    patients = table["patient_id"].to_numpy()
    groups = subgroups_of(table)
    each = {name: _Aucs(truth, given, labels, groups) for name, given in scores.items()}
    title = "AUC, mean of all findings"
    if "champion" not in each:
        return [lone_line("auc", title, each["candidate"].mean, patients, 0.5, seed=seed)]
    ours, theirs = each["candidate"], each["champion"]
    whole = differences(ours.mean, theirs.mean, patients, seed=seed)
    lines = [
        quality_line("auc", title, whole.get("auc"), MARGIN),
        above_chance("auc", ours.mean, patients, 0.5, seed=seed),
    ]
    level = level_of_parts(len(labels) + len(groups))
    parts = differences(ours.parts, theirs.parts, patients, seed=seed, level=level)
    return lines + [part_line(name, f"AUC, {name.partition(':')[2]}", d, MARGIN) for name, d in parts.items()]


class _Aucs:
    """Of films drawn by their rows: the mean over findings, and that of each finding and subgroup."""

    def __init__(
        self, truth: Floats, scores: Floats, labels: Sequence[str], groups: Mapping[str, Bools]
    ) -> None:
        self.truth, self.scores, self.labels, self.groups = truth, scores, labels, groups

    def mean(self, rows: Ints) -> dict[str, float | None]:
        return {"auc": self._mean(rows)}

    def parts(self, rows: Ints) -> dict[str, float | None]:
        found = {f"finding:{label}": self._of(rows, i) for i, label in enumerate(self.labels)}
        return found | {
            f"subgroup:{name}": self._mean(rows[those[rows]]) for name, those in self.groups.items()
        }

    def _mean(self, rows: Ints) -> float | None:
        each = [self._of(rows, i) for i in range(len(self.labels))]
        defined = [value for value in each if value is not None]
        return float(np.mean(defined)) if defined else None

    def _of(self, rows: Ints, i: int) -> float | None:
        known = rows[~np.isnan(self.truth[rows, i])]
        return roc_auc(self.truth[known, i].astype(int), self.scores[known, i])
