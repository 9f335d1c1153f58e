"""Cross-validation by patient: each film is scored once by a network that never saw its patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import Films, in_order
from ml.radiology.evaluate import measures
from ml.radiology.fitting import EVAL_BATCH, fit_network
from ml.radiology.importing import Dataset
from ml.radiology.model import Network
from ml.radiology.operating import operating_points, temperatures
from ml.radiology.predict import calibrated
from ml.radiology.splits import pattern_of_groups

CHOOSE_EVERY = 6  # of a fold's training patients one in so many chooses its epoch and its thresholds
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows that teach, that choose epoch, temperature and operating point, and that are scored."""

    train: Ints
    choose: Ints
    test: Ints


def folds_of(groups: Ints, patterns: list[str], rows: Ints, k: int, seed: int) -> list[Fold]:
    """`rows` in k folds by group (a patient); groups of the same pattern of labels are dealt evenly."""
    pattern = pattern_of_groups(groups, patterns, rows)
    shuffled = np.random.default_rng(seed).permutation(sorted(pattern))
    dealt = sorted(shuffled, key=lambda group: pattern[int(group)])
    out = []
    for fold in range(k):
        tested = dealt[fold::k]
        taught = [group for i, group in enumerate(dealt) if i % k != fold]
        chooses = taught[fold % CHOOSE_EVERY :: CHOOSE_EVERY]
        is_tested, is_choosing = (np.isin(groups[rows], part) for part in (tested, chooses))
        out.append(Fold(rows[~is_tested & ~is_choosing], rows[is_choosing], rows[is_tested]))
    return out


def cross_validate(
    dataset: Dataset, films: Films, folds: list[Fold], labels: list[str], make: Callable[[int], Network],
    config: TrainConfig, *, seed: int, device: str, folder: Path, key: str, progress: ProgressCallback,
) -> dict[str, Any]:  # fmt: skip
    """Measures over all folds' films, intervals over patients, and each fold's own.

    A fold that is done is kept in `folder`, so that a killed run goes on with the next.
    """
    scores = np.full((len(films.labels), len(labels)), np.nan)
    calls = np.zeros_like(scores)
    found: dict[str, Any] = {}
    for number, fold in enumerate(folds):
        kept = _kept(
            folder / f"fold-{number}.json", f"{key} {seed} {config} {len(folds)}",
            lambda number=number, fold=fold: fit_fold(  # type: ignore[misc]
                films, fold, make(number), config, dataset, seed=seed, device=device,
                folder=folder / f"fold-{number}", key=key, progress=_told(progress, number, len(folds)),
            ),
        )  # fmt: skip
        its, points = np.array(kept["scores"]), kept["points"]
        scores[fold.test] = its
        # Folds have thresholds of their own, so accuracy is of calls, not of one threshold over all.
        limits = np.array([np.nan if point is None else point for point in points])
        calls[fold.test] = np.where(np.isnan(limits), np.nan, its >= limits)
        report = measures(
            films.labels[fold.test], its, points, labels, dataset.table.iloc[fold.test], seed, 0
        )
        found[f"fold {number + 1}"] = {
            name: report.values[name] for name in ("auc", "accuracy", "sensitivity", "specificity", "n")
        }
    rows = np.concatenate([fold.test for fold in folds])
    over_all = measures(
        films.labels[rows], scores[rows], [0.5] * len(labels), labels, dataset.table.iloc[rows], seed, 200
    )
    right = calls[rows] == films.labels[rows]
    known = ~np.isnan(films.labels[rows]) & ~np.isnan(calls[rows])
    accuracy = float(right[known].mean()) if known.any() else None
    pooled = {"auc": over_all.values["auc"], "accuracy": accuracy, "n": len(rows)}
    interval = over_all.intervals.get("auc")
    return {**found, "all": {**pooled, **({"intervals": {"auc": list(interval)}} if interval else {})}}


def fit_fold(
    films: Films, fold: Fold, network: Network, config: TrainConfig, dataset: Dataset, *, seed: int,
    device: str, folder: Path, key: str, progress: ProgressCallback,
) -> dict[str, Any]:  # fmt: skip
    """`scores` (n, labels) of the fold's test, calibrated, and `points`: each label's threshold, or None.
    Goes on from what an earlier run left in `folder`."""
    folder.mkdir(exist_ok=True)
    fit_network(
        network, films, fold.train, fold.choose, config, seed=seed, device=device, checkpoint_dir=folder,
        resume=True, key=f"{key} {folder.name}", progress=progress,
    )  # fmt: skip
    chosen, truth = logits_of(network, films, fold.choose), films.labels[fold.choose]
    warmth = temperatures(chosen, truth)
    patients = list(dataset.table["patient_id"].iloc[fold.choose])
    points = operating_points(truth, calibrated(chosen, warmth), patients, config.target_sensitivity)
    for file in folder.iterdir():
        file.unlink()
    return {"scores": calibrated(logits_of(network, films, fold.test), warmth).tolist(), "points": points}


def _kept(path: Path, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    hashed = hashlib.sha256(key.encode()).hexdigest()
    if path.is_file() and (kept := json.loads(path.read_text()))["key"] == hashed:
        return dict(kept)
    done = {"key": hashed, **work()}
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(done))
    temporary.replace(path)
    return done


def _told(progress: ProgressCallback, number: int, k: int) -> ProgressCallback:
    """A fold's steps without its curves: those of the job's page are the final network's."""

    def tell(event: ProgressEvent) -> None:
        message = event.message or f"fold {number + 1} of {k}"
        progress(replace(event, phase="folds", message=message, metrics={}))

    return tell


@torch.no_grad()
def logits_of(network: Network, films: Films, rows: Ints) -> Floats:
    """(n, labels), float64, of a network on the CPU."""
    batches = (films.normalise(films.batch(part, "cpu")[0]) for part in in_order(rows, EVAL_BATCH))
    return np.concatenate([network.module(batch).double().numpy() for batch in batches])
