"""Train the fraud model, top to bottom.

The recurrent network learns from the first part of the training time and the trees from the rest, so that
the logits the trees learn to trust are ones the network made for transactions it had not seen. Early
stopping, calibration and thresholds look at validation only; the test is scored once, at the end.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from safetensors.numpy import save

from ml.common.artefact import golden_bytes, write_artefact
from ml.common.calibration import fit_platt, sigmoid
from ml.common.contracts import ProgressCallback, ProgressEvent, TrainRequest, TrainResult
from ml.common.devices import choose_device
from ml.common.metrics import average_precision, roc_auc
from ml.fraud.config import TrainConfig
from ml.fraud.evaluate import measures
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.importing import load_frozen
from ml.fraud.replay import gru_logits, replay_features, rows_by_card
from ml.fraud.rnn import Gru
from ml.fraud.sequence import train_gru

EARLY_SHARE = 0.5
Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    """Raises ValueError for data that cannot teach, Cancelled when the callback says so."""
    config = TrainConfig.from_params(request.params)
    frame = load_frozen(request.dataset_dir)
    labels = frame["fraud"].astype("float32").fillna(0).to_numpy(np.float32)
    parts = _parts(frame)
    _require_both_classes(labels, parts)
    features = replay_features(frame, progress)
    rows_of_cards = rows_by_card(frame["card_token"])
    gru = train_gru(
        features, rows_of_cards, labels, parts["early"].astype(np.float32), config, seed=request.seed,
        device=choose_device(request.device), checkpoint_dir=request.checkpoint_dir, resume=request.resume,
        progress=progress,
    )  # fmt: skip
    vectors = np.column_stack([features, gru_logits(gru, features, rows_of_cards, progress)])
    trees = _boost(vectors, labels, parts, config, request.seed, progress)
    margins = trees.inplace_predict(vectors, predict_type="margin").astype(np.float32)
    platt = fit_platt(margins[parts["val"]], labels[parts["val"]])
    scores = sigmoid(platt[0] * margins.astype(np.float64) + platt[1])
    thresholds = _thresholds(labels[parts["val"]], scores[parts["val"]], config)
    progress(ProgressEvent("test", message="scoring the test once"))
    metrics = _metrics(frame, scores, thresholds, parts, request.seed)
    metrics["ablation"] = _ablation(vectors, labels, parts, config, request.seed)
    metrics["thresholds"] = thresholds
    meta = {
        "features": list(FEATURE_NAMES), "usual": np.median(vectors[parts["late"]], 0).tolist(),
        "platt": {"scale": platt[0], "bias": platt[1]}, "thresholds": thresholds,
        "config": asdict(config), "seed": request.seed, "metrics": metrics,
    }  # fmt: skip
    files = _files(gru, trees, vectors, margins, parts["val"], rows_of_cards)
    artefact_hash = write_artefact(request.output_dir, kind="fraud", files=files, meta=meta)
    progress(ProgressEvent("done", metrics={"test_auc": metrics["test"]["auc"]}))
    return TrainResult(request.output_dir, artefact_hash, metrics)


def _parts(frame: pd.DataFrame) -> dict[str, Mask]:
    """Rows by use. What teaches or chooses was known before what it is judged on began."""
    split, labelled = frame["split"].to_numpy(), frame["fraud"].notna().to_numpy()
    at = frame["occurred_at"].astype("int64").to_numpy()
    known_at = frame["label_known_at"].astype("int64").to_numpy()
    begin = {name: at[split == name].min(initial=np.iinfo(np.int64).max) for name in ("val", "test")}
    train = (split == "train") & labelled & (known_at <= begin["val"])
    middle = np.quantile(at[split == "train"], EARLY_SHARE)
    return {
        "early": train & (at < middle),
        "late": train & (at >= middle),
        "val": (split == "val") & labelled & (known_at <= begin["test"]),
        "test": (split == "test") & labelled,
    }


def _require_both_classes(labels: Matrix, parts: dict[str, Mask]) -> None:
    for name, rows in parts.items():
        if not 0 < labels[rows].sum() < rows.sum():
            raise ValueError(f"The {name} part holds no fraud or nothing else: more days of data are needed.")


def _boost(
    vectors: Matrix,
    labels: Matrix,
    parts: dict[str, Mask],
    config: TrainConfig,
    seed: int,
    progress: ProgressCallback | None = None,
) -> xgboost.Booster:
    late, val = parts["late"], parts["val"]
    told: dict[str, Any] = {}
    params = {
        "objective": "binary:logistic", "eval_metric": ["logloss", "aucpr"], "max_depth": config.depth,
        "eta": config.tree_rate, "tree_method": "hist", "max_bin": 1024, "seed": seed, "nthread": 2,
        "subsample": 0.8, "colsample_bytree": 0.8, "min_child_weight": 2.0,
    }  # fmt: skip
    callbacks = [_Report(progress, config.trees)] if progress else []
    booster = xgboost.train(
        params, xgboost.DMatrix(vectors[late], labels[late]), config.trees,
        evals=[(xgboost.DMatrix(vectors[val], labels[val]), "val")], early_stopping_rounds=30,
        evals_result=told, verbose_eval=False, callbacks=callbacks,
    )  # fmt: skip
    return booster[: booster.best_iteration + 1]


class _Report(xgboost.callback.TrainingCallback):
    def __init__(self, progress: ProgressCallback, rounds: int) -> None:
        self.progress, self.rounds = progress, rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if epoch % 10 == 0:
            values = {f"val_{name}": series[-1] for name, series in evals_log["val"].items()}
            self.progress(ProgressEvent("trees", epoch=epoch, epochs=self.rounds, metrics=values))
        return False


def _thresholds(labels: Matrix, scores: npt.NDArray[np.floating], config: TrainConfig) -> dict[str, float]:
    """Review what analysts can look at; decline where precision on validation is high enough."""
    ranked = np.sort(scores)[::-1]
    review = float(ranked[max(0, int(len(ranked) * config.review_share) - 1)])
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum(labels[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero((precision >= config.decline_precision) & (np.arange(len(order)) >= 9))
    decline = float(scores[order[enough[-1]]]) if len(enough) else 1.0
    return {"review": min(review, decline), "decline": decline}


def _metrics(
    frame: pd.DataFrame,
    scores: npt.NDArray[np.floating],
    thresholds: dict[str, float],
    parts: dict[str, Mask],
    seed: int,
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, part, rounds in (("validation", "val", 0), ("test", "test", 100)):
        rows = parts[part]
        report = measures(frame[rows], scores[rows], thresholds["review"], seed, rounds)
        intervals = {key: list(pair) for key, pair in report.intervals.items()}
        out[name] = {**report.values, **({"intervals": intervals} if intervals else {})}
    return out


def _ablation(
    vectors: Matrix, labels: Matrix, parts: dict[str, Mask], config: TrainConfig, seed: int
) -> dict[str, Any]:
    """What each half is worth alone, on the test rows; nothing is chosen by it."""
    test = parts["test"]
    y = labels[test].astype(int)
    without = _boost(vectors[:, :-1], labels, parts, config, seed).inplace_predict(vectors[test][:, :-1])
    alone = vectors[test][:, -1]
    return {
        "trees_without_gru": {"auc": roc_auc(y, without), "ap": average_precision(y, without)},
        "gru_alone": {"auc": roc_auc(y, alone), "ap": average_precision(y, alone)},
    }


def _files(
    gru: Gru,
    trees: xgboost.Booster,
    vectors: Matrix,
    margins: Matrix,
    rows: Mask,
    rows_of_cards: list[npt.NDArray[np.intp]],
) -> dict[str, bytes]:
    chosen = np.flatnonzero(rows)[:64]
    longest = max(rows_of_cards, key=len)[:32]
    golden = golden_bytes(
        vectors=vectors[chosen], margins=margins[chosen], sequence=vectors[longest][:, :-1],
        logits=vectors[longest][:, -1],
    )  # fmt: skip
    return {
        "weights.safetensors": save(gru.arrays()),
        "trees.ubj": bytes(trees.save_raw("ubj")),
        "golden.npz": golden,
    }
