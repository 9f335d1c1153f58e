"""Fit trees and the recurrent network to replayed payments; what they say of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost

from ml.common.calibration import fit_platt, sigmoid
from ml.common.contracts import ProgressCallback, ProgressEvent, TrainRequest
from ml.common.control import SHUFFLED, shuffled_within
from ml.common.devices import choose_device
from ml.fraud.booster import grow, margins_of, margins_unseen
from ml.fraud.config import TrainConfig
from ml.fraud.contracts import Vector
from ml.fraud.replay import gru_logits, replay_features, rows_by_card
from ml.fraud.rnn import Gru
from ml.fraud.sequence import train_gru

Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What learnt, and what it says of each row: `vectors` (n, N_FEATURES + 1) are the features and what the
    network adds to the margins `of_trees` (n,); `scores` (n,) are calibrated."""

    trees: xgboost.Booster
    gru: Gru
    rows_of_cards: list[npt.NDArray[np.intp]]
    features: Matrix
    vectors: Matrix
    of_trees: Vector
    platt: tuple[float, float]
    scores: npt.NDArray[np.floating]


def labels_of(frame: pd.DataFrame, parts: dict[str, Mask], config: TrainConfig, seed: int) -> Matrix:
    """(n,) 1 for fraud, 0 for legitimate and for what is unknown; in a control experiment those that teach or
    choose are shuffled."""
    labels = frame["fraud"].astype("float32").fillna(0).to_numpy(np.float32)
    if config.control == SHUFFLED:
        labels = shuffled_within(labels, (parts["train"], parts["val"]), seed)
    return labels


def fit(
    frame: pd.DataFrame, labels: Matrix, parts: dict[str, Mask], config: TrainConfig, request: TrainRequest,
    progress: ProgressCallback,
) -> Fitted:  # fmt: skip
    """`parts`: train teaches, val chooses and calibrates, any other is only scored. Raises ValueError for one
    that holds a single class."""
    _require_both_classes(labels, parts)
    features = replay_features(frame, progress)
    rows_of_cards = rows_by_card(frame)
    device = choose_device(request.device)
    params = _params(config, device)
    trees = _boost(features, labels, parts, config.trees, params, request.seed, progress)
    unseen = _unseen(trees, features, labels, frame["card_token"], parts["train"], params, request.seed)
    gru = train_gru(
        features, unseen, rows_of_cards, labels, parts["train"].astype(np.float32), config, seed=request.seed,
        device=device, checkpoint_dir=request.checkpoint_dir, resume=request.resume,
        progress=progress,
    )  # fmt: skip
    of_trees = margins_of(trees, features)
    vectors = np.column_stack([features, gru_logits(gru, features, of_trees, rows_of_cards, progress)])
    margins = of_trees + vectors[:, -1]
    platt = fit_platt(margins[parts["val"]], labels[parts["val"]])
    scores = sigmoid(platt[0] * margins.astype(np.float64) + platt[1])
    return Fitted(trees, gru, rows_of_cards, features, vectors, of_trees, platt, scores)


def _require_both_classes(labels: Matrix, parts: dict[str, Mask]) -> None:
    for name, rows in parts.items():
        if not 0 < labels[rows].sum() < rows.sum():
            raise ValueError(f"The {name} part holds no fraud or nothing else: more days of data are needed.")


def _boost(
    features: Matrix,
    labels: Matrix,
    parts: dict[str, Mask],
    rounds: int,
    params: dict[str, Any],
    seed: int,
    progress: ProgressCallback,
) -> xgboost.Booster:
    train, val = (xgboost.DMatrix(features[parts[name]], labels[parts[name]]) for name in ("train", "val"))
    return grow(train, rounds, params, seed, val, [_Report(progress, rounds)])


def _params(config: TrainConfig, device: str) -> dict[str, Any]:
    """Fine bins: a limit that fraud lies above is seldom where a coarse one falls."""
    return {
        "max_depth": config.depth, "eta": config.tree_rate, "tree_method": "hist", "max_bin": 4096,
        "subsample": 0.8, "colsample_bytree": 0.4, "min_child_weight": 2.0,
        "device": "cuda" if device == "cuda" else "cpu",
    }  # fmt: skip


def _unseen(
    trees: xgboost.Booster,
    features: Matrix,
    labels: Matrix,
    cards: pd.Series,
    learnt: Mask,
    params: dict[str, Any],
    seed: int,
) -> Vector:
    def grown(rows: Mask) -> xgboost.Booster:
        data = xgboost.DMatrix(features[rows], labels[rows])
        return grow(data, trees.num_boosted_rounds(), params, seed)

    return margins_unseen(features, cards.to_numpy(), learnt, grown, seed)


class _Report(xgboost.callback.TrainingCallback):
    def __init__(self, progress: ProgressCallback, rounds: int) -> None:
        self.progress, self.rounds = progress, rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if epoch % 10 == 0:
            values = {f"val_{name}": series[-1] for name, series in evals_log["val"].items()}
            self.progress(ProgressEvent("trees", epoch=epoch, epochs=self.rounds, metrics=values))
        return False
