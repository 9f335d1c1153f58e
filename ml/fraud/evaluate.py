"""Measure an artefact on labelled transactions, replayed through the same path that serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.metrics import (
    average_precision,
    bootstrap_intervals,
    brier,
    confusion_measures,
    expected_calibration_error,
    roc_auc,
)
from ml.fraud.censoring import shares_of, weights_of
from ml.fraud.clock import with_offsets
from ml.fraud.contracts import EvaluationReport
from ml.fraud.importing import utc_offsets_us
from ml.fraud.predict import FraudPredictor
from ml.fraud.replay import gru_logits, replay_features, rows_by_card
from ml.fraud.subgroups import subgroups_of
from ml.fraud.windows import DAY_US

Floats = npt.NDArray[np.floating]
BUDGET = 100  # alerts that can be looked at in a day, as in the Fraud Detection Handbook


def evaluate(
    artefact_dir: Path,
    *,
    events: pd.DataFrame,
    history: pd.DataFrame | None,
    seed: int = 0,
    bootstrap: int = 200,
) -> EvaluationReport:
    """`history` warms the states and is not measured; rows without a label are counted, not measured.

    Labels enter the states when they were known, as they do in service: `label_known_at` of each row.
    """
    predictor = FraudPredictor.load(artefact_dir)
    before = 0 if history is None else len(history)
    frame = events if history is None else pd.concat([history, events], ignore_index=True)
    frame = with_offsets(frame, predictor.time_zone)
    scores, events = score_history(predictor, frame)[before:], frame.iloc[before:]
    labelled = events["fraud"].notna().to_numpy()
    report = measures(events[labelled], scores[labelled], predictor.thresholds.review, seed, bootstrap)
    said = {"n_excluded": int((~labelled).sum()), **shares_of(events)}
    return EvaluationReport({**report.values, **said}, report.intervals)


def score_history(predictor: FraudPredictor, frame: pd.DataFrame) -> Floats:
    """Probabilities (n,) in row order, by the reducer and the network's step that serve."""
    return score_features(predictor, replay_features(frame, _silent), rows_by_card(frame), _silent)


def score_features(
    predictor: FraudPredictor,
    features: npt.NDArray[np.float32],
    rows_of_cards: list[npt.NDArray[np.intp]],
    progress: ProgressCallback,
) -> Floats:
    """Probabilities (n,) of events whose features (n, N_FEATURES) were replayed."""
    margins = predictor.tree_margins(features)
    return predictor.probabilities(
        margins + gru_logits(predictor.gru, features, margins, rows_of_cards, progress)
    )


def _silent(event: ProgressEvent) -> None:
    """Nobody watches a measurement."""


def measures(
    frame: pd.DataFrame, scores: Floats, threshold: float, seed: int, bootstrap: int
) -> EvaluationReport:
    """Every measure with its interval over resampled cards; what was let through by a draw is weighed by it,
    but not in those of a day's BUDGET of alerts, which count what would be looked at."""
    labels, weights = frame["fraud"].to_numpy().astype(int), weights_of(frame)
    days, amounts = days_of(frame), frame["amount_minor"].to_numpy(np.int64)

    def all_of(rows: Any) -> dict[str, float | None]:
        given = labels[rows], scores[rows]
        weighed = None if weights is None else weights[rows]
        return {
            "ap": average_precision(*given, weighed),
            **within_budget(days[rows], *given, amounts[rows]),
            "auc": roc_auc(*given, weighed),
            "brier": brier(*given, weighed),
            "ece": expected_calibration_error(*given, weighed),
            **confusion_measures(*given, threshold, weighed),
        }

    values: dict[str, Any] = all_of(slice(None))
    intervals = bootstrap_intervals(all_of, frame["card_token"].to_numpy(), rounds=bootstrap, seed=seed)
    values["cp100"] = card_precision(frame, scores)
    return EvaluationReport({"n": len(frame), "n_excluded": 0, "threshold": threshold, **values}, intervals)


def measures_of_subgroups(
    frame: pd.DataFrame, scores: Floats, threshold: float, seed: int, bootstrap: int
) -> dict[str, dict[str, Any]]:
    """A few measures of each subgroup of labelled payments, with intervals over resampled cards."""
    labels, weights = frame["fraud"].to_numpy().astype(int), weights_of(frame)
    cards, found = frame["card_token"].to_numpy(), dict[str, dict[str, Any]]()
    for name, those in subgroups_of(frame).items():
        y, p, w = labels[those], scores[those], None if weights is None else weights[those]

        def all_of(rows: Any, y: Any = y, p: Any = p, w: Any = w) -> dict[str, float | None]:
            weighed = None if w is None else w[rows]
            called = confusion_measures(y[rows], p[rows], threshold, weighed)
            return {
                "ap": average_precision(y[rows], p[rows], weighed),
                "auc": roc_auc(y[rows], p[rows], weighed),
                **{each: called[each] for each in ("sensitivity", "specificity")},
            }

        intervals = bootstrap_intervals(all_of, cards[those], rounds=bootstrap, seed=seed)
        pairs = {key: list(pair) for key, pair in intervals.items()}
        told = {"n": int(those.sum()), "n_positive": int(y.sum())}
        found[name] = {**all_of(slice(None)), **told, **({"intervals": pairs} if pairs else {})}
    return found


def days_of(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """(n,) each row's business day, as a number."""
    local_us = frame["occurred_at"].astype("int64").to_numpy() + utc_offsets_us(frame)
    return np.asarray(local_us // DAY_US, np.int64)


def within_budget(
    days: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    scores: Floats,
    amounts: npt.NDArray[np.integer],
    k: int = BUDGET,
) -> dict[str, float | None]:
    """Of each day's k highest scores: the share that is fraud, the share of all fraud's money in them, and
    that money a day, minor units. None where there is no row, or no fraud's money to find."""
    if not len(days):
        return dict.fromkeys((f"precision_at_{k}", f"value_recall_at_{k}", f"caught_minor_at_{k}_per_day"))
    order = np.lexsort((-scores, days))
    begins = np.flatnonzero(np.diff(days[order], prepend=days[order[0]] - 1))
    rank = np.arange(len(days)) - np.repeat(begins, np.diff(np.append(begins, len(days))))
    looked_at = order[rank < k]
    caught, fraud = ((amounts[rows] * labels[rows]).sum() for rows in (looked_at, slice(None)))
    return {
        f"precision_at_{k}": float(labels[looked_at].mean()),
        f"value_recall_at_{k}": float(caught / fraud) if fraud else None,
        f"caught_minor_at_{k}_per_day": float(caught / len(begins)),
    }


def card_precision(frame: pd.DataFrame, scores: Floats, k: int = BUDGET) -> float | None:
    """Card precision@k of the Fraud Detection Handbook: a day's k cards with the highest maximum score,
    the share truly compromised; a card once detected leaves the days after; averaged over days."""
    if not len(frame):
        return None
    codes, cards = pd.factorize(frame["card_token"].to_numpy(), sort=True)
    table = pd.DataFrame(
        {
            "day": days_of(frame),
            "card": codes,
            "score": scores,
            "fraud": frame["fraud"].to_numpy().astype(int),
        }
    )
    detected = np.zeros(len(cards), bool)
    daily = []
    for _, day in table.groupby("day", sort=True):
        highest = day[~detected[day["card"]]].groupby("card")[["score", "fraud"]].max()
        top = highest.sort_values("score", ascending=False, kind="stable").head(k)
        hits = top.index[top["fraud"] == 1]
        detected[hits] = True
        daily.append(len(hits) / k)
    return float(np.mean(daily))
