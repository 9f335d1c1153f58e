"""Train the fraud model, top to bottom.

The trees learn from features; the recurrent network learns what is to be added to their log-odds, from
margins of trees that never saw the card. The first part of the training time, whose states are still cold,
teaches neither. Early stopping, calibration and thresholds look at validation only; the test is scored
once, at the end.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.numpy import save

from ml.common.artefact import npz_bytes, write_artefact
from ml.common.contracts import ProgressCallback, ProgressEvent, TrainRequest, TrainResult
from ml.common.curves import curves_of
from ml.common.devices import choose_device
from ml.common.lineage import lineage_of
from ml.common.metrics import average_precision, roc_auc
from ml.common.scored import FILE as TEST_SCORES
from ml.common.scored import Scored, scored
from ml.fraud.censoring import shares_of, weights_of
from ml.fraud.config import TrainConfig
from ml.fraud.contracts import NETWORK
from ml.fraud.drift import SCORE, Reference
from ml.fraud.evaluate import measures, measures_of_subgroups
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.fitting import Fitted, Mask, Matrix, fit, labels_of
from ml.fraud.heldout import HeldOut, held_out
from ml.fraud.importing import load_frozen
from ml.fraud.operating import for_budget
from ml.fraud.sequence import train_gru
from ml.fraud.splits import taught, taught_rows
from ml.fraud.subgroups import subgroups_of

COLD_SHARE = 0.3  # of the training time
EVERYTHING = tuple(range(len(FEATURE_NAMES)))


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    """Raises ValueError for data that cannot teach, Cancelled when the callback says so."""
    config = TrainConfig.from_params(request.params)
    whole, time_zone = load_frozen(request.dataset_dir)
    frame = taught(whole)  # not even states may hear of what is locked
    parts = _parts(frame)
    labels = labels_of(frame, parts, config, request.seed)
    fitted = fit(frame, labels, parts, config, request, progress)
    vectors, scores = fitted.vectors, fitted.scores
    table, thresholds = thresholds_on(frame, scores, parts["val"], config)
    progress(ProgressEvent("test", message="scoring the test once"))
    metrics = _metrics(frame, scores, thresholds, parts, request.seed)
    metrics["ablation"] = _ablation(fitted, labels, parts, config, request, progress)
    metrics["thresholds"] = thresholds
    kept = _test_scores(frame, scores, thresholds["review"], parts["test"], taught_rows(whole))
    meta = {
        "features": list(FEATURE_NAMES), "usual": np.median(vectors[parts["train"]], 0).tolist(),
        "platt": {"scale": fitted.platt[0], "bias": fitted.platt[1]}, "thresholds": thresholds,
        "time_zone": time_zone, "config": asdict(config), "seed": request.seed, "metrics": metrics,
        "lineage": lineage_of(request), "curves": curves_of(kept),
    }  # fmt: skip
    files = _files(fitted, parts["val"])
    files[TEST_SCORES] = kept.to_bytes()
    files["heldout.npz"] = table.to_bytes()
    files["drift.npz"] = _reference(frame, vectors, scores).to_bytes()
    artefact_hash = write_artefact(request.output_dir, kind="fraud", files=files, meta=meta)
    progress(ProgressEvent("done", metrics={"test_auc": metrics["test"]["auc"]}))
    return TrainResult(request.output_dir, artefact_hash, metrics)


def thresholds_on(
    frame: pd.DataFrame, scores: npt.NDArray[np.floating], known: Mask, config: TrainConfig
) -> tuple[HeldOut, dict[str, float]]:
    """The validation days, of which `known` may be looked at, and what was chosen on them: what analysts can
    look at, and a decline where precision is high enough, until somebody chooses anew."""
    table = _held_out(frame, scores, known)
    limits = for_budget(table, config.review_share * table.payments_of_day.mean(), config.decline_precision)
    return table, asdict(limits)


def _parts(frame: pd.DataFrame) -> dict[str, Mask]:
    """Rows by use. What teaches or chooses was known before what it is judged on began."""
    split, labelled = frame["split"].to_numpy(), frame["fraud"].notna().to_numpy()
    at = frame["occurred_at"].astype("int64").to_numpy()
    known_at = frame["label_known_at"].astype("int64").to_numpy()
    begin = {name: at[split == name].min(initial=np.iinfo(np.int64).max) for name in ("val", "test")}
    train = (split == "train") & labelled & (known_at <= begin["val"])
    warm = np.quantile(at[split == "train"], COLD_SHARE)
    return {
        "train": train & (at >= warm),
        "val": (split == "val") & labelled & (known_at <= begin["test"]),
        "test": (split == "test") & labelled,
    }


def _held_out(frame: pd.DataFrame, scores: npt.NDArray[np.floating], known: Mask) -> HeldOut:
    """All payments of the validation days; only labels known before the test began are known in it."""
    rows = frame["split"].to_numpy() == "val"
    weights = weights_of(frame[rows])
    each = np.ones(int(rows.sum())) if weights is None else weights
    return held_out(frame[rows], scores[rows], known[rows], each)


def _reference(frame: pd.DataFrame, vectors: Matrix, scores: npt.NDArray[np.floating]) -> Reference:
    """Of all payments of the validation days, labelled or not, as those that will be scored."""
    rows = frame["split"].to_numpy() == "val"
    at_us = frame["occurred_at"].astype("int64").to_numpy()[rows]
    return Reference.of(
        (*FEATURE_NAMES, NETWORK, SCORE), np.column_stack([vectors[rows], scores[rows]]), at_us
    )


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
        told = shares_of(frame[frame["split"].to_numpy() == part])
        out[name] = {**report.values, **told, **({"intervals": intervals} if intervals else {})}
    rows = parts["test"]
    if groups := measures_of_subgroups(frame[rows], scores[rows], thresholds["review"], seed, rounds):
        out["test"]["subgroups"] = groups
    return out


def _test_scores(
    frame: pd.DataFrame, scores: npt.NDArray[np.floating], review: float, rows: Mask,
    places: npt.NDArray[np.intp],
) -> Scored:  # fmt: skip
    """An event's id alone may mean another payment in another file. `places`: where each row of the frame is
    in the dataset as it was frozen."""
    test = frame[rows]
    keys = ("event_id", "card_token", "occurred_at", "amount_minor")
    parts = (test[name].astype("int64") if name == "occurred_at" else test[name] for name in keys)
    return scored(
        names=["fraud"], points=[review], cases=list(zip(*parts, strict=True)),
        groups=test["card_token"], rows=places[rows],
        labels=test["fraud"].to_numpy(np.float64)[:, None], scores=scores[rows][:, None],
        weights=weights_of(test), subgroups=subgroups_of(test),
    )  # fmt: skip


def _ablation(
    fitted: Fitted, labels: Matrix, parts: dict[str, Mask], config: TrainConfig, request: TrainRequest,
    progress: ProgressCallback,
) -> dict[str, Any]:  # fmt: skip
    """What each part is worth alone, on the test rows; nothing is chosen by it.

    The rule ranks by how far an amount lies above what is usual of its card, as the plainest rules do. The
    network alone is one that was given every feature and no trees.
    """
    device, features = choose_device(request.device), fitted.features
    test, nothing = parts["test"], np.zeros(len(features), np.float32)
    y, alone = labels[test].astype(int), nothing.copy()
    folder = request.checkpoint_dir / "alone"
    folder.mkdir(exist_ok=True)
    gru = train_gru(
        features, nothing, fitted.rows_of_cards, labels, parts["train"].astype(np.float32), config,
        seed=request.seed, device=device, checkpoint_dir=folder, resume=request.resume,
        progress=lambda event: progress(replace(event, phase="ablation")), columns=EVERYTHING,
    )  # fmt: skip
    for rows, logits in gru.run(features, nothing, fitted.rows_of_cards):
        alone[rows] = logits
    each = {
        "rule_amount_over_usual": features[:, FEATURE_NAMES.index("amount_over_usual")],
        "trees_without_gru": fitted.of_trees, "gru_alone": alone,
        "stack": fitted.of_trees + fitted.vectors[:, -1],
    }  # fmt: skip
    return {
        name: {"ap": average_precision(y, scores[test]), "auc": roc_auc(y, scores[test])}
        for name, scores in each.items()
    }


def _files(fitted: Fitted, rows: Mask) -> dict[str, bytes]:
    vectors, of_trees = fitted.vectors, fitted.of_trees
    margins = of_trees + vectors[:, -1]
    chosen = np.flatnonzero(rows)[:64]
    longest = max(fitted.rows_of_cards, key=len)[:32]
    golden = npz_bytes(
        vectors=vectors[chosen], margins=margins[chosen], logits=vectors[longest][:, -1],
        sequence=np.column_stack([vectors[longest][:, :-1], of_trees[longest]]),
    )  # fmt: skip
    return {
        "weights.safetensors": save(fitted.gru.arrays()),
        "trees.ubj": bytes(fitted.trees.save_raw("ubj")),
        "golden.npz": golden,
    }
