"""Cross-validation forward in time: a fold learns from what was known when the days it is scored on began.

Folds lie in the training part alone. The later part of its time is cut into as many stretches as there are
folds, of the same length; each is scored once, by what learnt from all before it. Of that, by the order of
time, the last part chooses: early stopping, calibration and thresholds never look at what is scored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ml.common.contracts import FoldRequest, ProgressCallback, ProgressEvent, TrainRequest
from ml.fraud.config import TrainConfig
from ml.fraud.evaluate import measures
from ml.fraud.fitting import Mask, fit, labels_of
from ml.fraud.importing import load_frozen
from ml.fraud.train import COLD_SHARE, thresholds_on

START_SHARE = 0.6  # of the training time: all of it comes before the first fold's days
CHOOSE_SHARE = 0.25  # of what was known
STATES_HEAR = ("train", "gap", "held")  # as when a version is trained; of these only train teaches
BOOTSTRAP = 100


def train_fold(request: TrainRequest, fold: FoldRequest, progress: ProgressCallback) -> dict[str, Any]:
    """The fold's measures with intervals over cards, and how many payments taught and chose.

    Raises ValueError for data that cannot teach, Cancelled when the callback says so.
    """
    config = TrainConfig.from_params(request.params)
    frame, parts = rows_of(load_frozen(request.dataset_dir)[0], fold)
    labels = labels_of(frame, parts, config, request.seed)
    fitted = fit(frame, labels, parts, config, request, progress)
    _, thresholds = thresholds_on(frame, fitted.scores, parts["val"], config)
    progress(ProgressEvent("test", message=f"scoring fold {fold.number} of {fold.folds} once"))
    rows = parts["test"]
    report = measures(frame[rows], fitted.scores[rows], thresholds["review"], request.seed, BOOTSTRAP)
    progress(ProgressEvent("done"))
    return {
        **report.values,
        "intervals": {name: list(pair) for name, pair in report.intervals.items()},
        "n_train": int(parts["train"].sum()),
        "n_choose": int(parts["val"].sum()),
    }


def rows_of(whole: pd.DataFrame, fold: FoldRequest) -> tuple[pd.DataFrame, dict[str, Mask]]:
    """The payments up to the end of the fold's days, with the split of the fold, and its rows by use.

    A label that was not known when the fold's days began neither teaches nor chooses.
    """
    frame = whole[whole["split"].isin(STATES_HEAR)].reset_index(drop=True)
    at, begins, ends = _days_of(frame, fold)
    frame, at = frame[at < ends].reset_index(drop=True), at[at < ends]
    teaches = (frame["split"] == "train").to_numpy() & frame["fraud"].notna().to_numpy()
    known = teaches & (frame["label_known_at"].astype("int64").to_numpy() <= begins)
    if not known.any():
        raise ValueError(
            f"Nothing was known yet when the days of fold {fold.number} began: more days of data are needed."
        )
    chooses_from = np.quantile(at[known], 1 - CHOOSE_SHARE)
    warm = np.quantile(at[known & (at < chooses_from)], COLD_SHARE)
    parts = {
        "train": known & (at >= warm) & (at < chooses_from),
        "val": known & (at >= chooses_from),
        "test": teaches & (at >= begins),
    }
    # All payments of the days that choose: how many there are in a day is no matter of their labels.
    split = np.select(
        [at >= begins, (at >= chooses_from) & (at <= at[known][-1]), at < chooses_from],
        ["test", "val", "train"],
        "gap",
    )
    return frame.assign(split=np.where(frame["split"] == "train", split, frame["split"])), parts


def _days_of(frame: pd.DataFrame, fold: FoldRequest) -> tuple[np.ndarray[Any, Any], float, float]:
    """When each payment was, and when the days the fold is scored on begin and end, epoch µs UTC."""
    at = frame["occurred_at"].astype("int64").to_numpy()
    trains = at[(frame["split"] == "train").to_numpy()]
    first, length = trains[0], trains[-1] + 1 - trains[0]
    stretch = (1 - START_SHARE) * length / fold.folds
    begins = first + START_SHARE * length + (fold.number - 1) * stretch
    return at, begins, begins + stretch
