"""One fold of a cross-validation by patient, dealt in the training part alone, as a job of its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from ml.common.contracts import FoldRequest, ProgressCallback, ProgressEvent, TrainRequest
from ml.common.control import SHUFFLED, shuffled_within
from ml.common.devices import choose_device
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import prepare
from ml.radiology.evaluate import measures
from ml.radiology.folds import Fold, fit_fold, folds_of
from ml.radiology.importing import Dataset, load_frozen
from ml.radiology.train import choose_backbone, groups_and_patterns, new_network, teachable

BOOTSTRAP = 200


def train_fold(request: TrainRequest, fold: FoldRequest, progress: ProgressCallback) -> dict[str, Any]:
    """The fold's measures with intervals over patients, and how many films taught and chose.

    Raises as the trainer does, and ValueError where no finding is both present and absent in every fold.
    """
    config, weights = choose_backbone(TrainConfig.from_params(request.params), request.weights_dir)
    dataset, folds = dealt(load_frozen(request.dataset_dir), fold)
    mine = folds[fold.number - 1]
    columns = teachable(dataset, (part for one in folds for part in (one.train, one.choose, one.test)))
    if not columns:
        raise ValueError("No finding is both present and absent in every fold: ask for fewer, or more films.")
    if config.control == SHUFFLED:
        learnt = (mine.train, mine.choose)
        dataset = replace(dataset, labels=shuffled_within(dataset.labels, learnt, request.seed))
    labels = [dataset.findings[column] for column in columns]
    progress(ProgressEvent("start", message=f"fold {fold.number} of {fold.folds}, {config.backbone}"))
    network = new_network(config, len(labels), weights, request.seed)
    films = prepare(dataset, columns, network.preprocessing, request.checkpoint_dir, progress)
    manifest = hashlib.sha256((request.dataset_dir / "manifest.json").read_bytes()).hexdigest()
    said = fit_fold(
        films, mine, network, config, dataset, seed=request.seed, device=choose_device(request.device),
        folder=request.checkpoint_dir / "fold", progress=progress,
        key=f"{manifest} {weights.sha256 if weights else None} {fold}",
    )  # fmt: skip
    progress(ProgressEvent("test", message=f"scoring fold {fold.number} of {fold.folds} once"))
    report = measures(
        films.labels[mine.test], np.array(said["scores"]), said["points"], labels,
        dataset.table.iloc[mine.test], request.seed, BOOTSTRAP,
    )  # fmt: skip
    progress(ProgressEvent("done"))
    return {
        **report.values,
        "intervals": {name: list(pair) for name, pair in report.intervals.items()},
        "n_train": len(mine.train),
        "n_choose": len(mine.choose),
    }


def dealt(frozen: Dataset, fold: FoldRequest) -> tuple[Dataset, list[Fold]]:
    """The films that train, and every fold of them: a patient, and exact copies of a film, are in one alone.
    What chooses a fold's epoch and thresholds is taken from the patients that teach it."""
    dataset = frozen.only(np.flatnonzero(frozen.table["split"] == "train"))
    groups, patterns = groups_and_patterns(dataset, list(range(len(dataset.findings))))
    return dataset, folds_of(groups, patterns, np.arange(len(groups)), fold.folds, fold.seed)
