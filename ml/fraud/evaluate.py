"""Measure an artefact on labelled transactions, replayed through the same path that serves."""

from __future__ import annotations

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
    roc_auc,
)
from ml.fraud.contracts import EvaluationReport
from ml.fraud.importing import events_of
from ml.fraud.predict import FraudPredictor

BATCH = 5000
Floats = npt.NDArray[np.floating]


def evaluate(
    artefact_dir: Path,
    *,
    events: pd.DataFrame,
    history: pd.DataFrame | None,
    seed: int = 0,
    bootstrap: int = 200,
) -> EvaluationReport:
    """`history` warms the states and is not measured; rows without a label are counted, not measured."""
    predictor = FraudPredictor.load(artefact_dir)
    cards: dict[str, bytes] = {}
    terminals: dict[str, bytes] = {}
    if history is not None:
        replay(predictor, history, cards, terminals)
    scores = replay(predictor, events, cards, terminals)
    labelled = events["fraud"].notna().to_numpy()
    report = measures(events[labelled], scores[labelled], predictor.thresholds.review, seed, bootstrap)
    return EvaluationReport({**report.values, "n_excluded": int((~labelled).sum())}, report.intervals)


def replay(
    predictor: FraudPredictor, frame: pd.DataFrame, cards: dict[str, bytes], terminals: dict[str, bytes]
) -> Floats:
    """Probabilities (n,) in row order; both maps of states are brought forward in place."""
    scores: list[float] = []
    for start in range(0, len(frame), BATCH):
        batch = events_of(frame.iloc[start : start + BATCH])
        result = predictor.score_batch(batch, cards, terminals, explain=False)
        cards.update(result.card_states)
        terminals.update(result.terminal_states)
        scores += [one.score for one in result.scores]
    return np.array(scores)


def measures(
    frame: pd.DataFrame, scores: Floats, threshold: float, seed: int, bootstrap: int
) -> EvaluationReport:
    """Every measure with its interval over resampled cards."""
    labels = frame["fraud"].to_numpy().astype(int)

    def all_of(rows: Any) -> dict[str, float | None]:
        return {
            "auc": roc_auc(labels[rows], scores[rows]),
            "ap": average_precision(labels[rows], scores[rows]),
            "brier": brier(labels[rows], scores[rows]),
            "ece": expected_calibration_error(labels[rows], scores[rows]),
            **confusion_measures(labels[rows], scores[rows], threshold),
        }

    values: dict[str, Any] = all_of(slice(None))
    intervals = bootstrap_intervals(all_of, frame["card_token"].to_numpy(), rounds=bootstrap, seed=seed)
    values["cp100"] = card_precision(frame, scores)
    return EvaluationReport({"n": len(frame), "n_excluded": 0, "threshold": threshold, **values}, intervals)


def card_precision(frame: pd.DataFrame, scores: Floats, k: int = 100) -> float | None:
    """Card precision@k of the Fraud Detection Handbook: a day's k cards with the highest maximum score,
    the share truly compromised; a card once detected leaves the days after; averaged over days."""
    if not len(frame):
        return None
    table = pd.DataFrame(
        {
            "day": frame["occurred_at"].dt.floor("D").to_numpy(),
            "card": frame["card_token"].to_numpy(),
            "score": scores,
            "fraud": frame["fraud"].to_numpy().astype(int),
        }
    )
    detected: set[str] = set()
    daily = []
    for _, day in table.groupby("day", sort=True):
        cards = day[~day["card"].isin(detected)].groupby("card")[["score", "fraud"]].max()
        top = cards.sort_values("score", ascending=False, kind="stable").head(k)
        hits = top.index[top["fraud"] == 1]
        detected.update(hits)
        daily.append(len(hits) / k)
    return float(np.mean(daily))
