"""The evidence a fraud model brings to the gate: candidate and champion on the locked payments, by card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from ml.common.metrics import average_precision
from ml.fraud.censoring import weights_of
from ml.fraud.evaluate import BUDGET, days_of, score_features
from ml.fraud.importing import events_of, load_frozen
from ml.fraud.predict import FraudPredictor
from ml.fraud.replay import replay_features, rows_by_card

MARGIN_SHARE = 0.1  # of what the champion has
PART_FRAUDS, PART_PAYMENTS = 10, 200  # fewer say nothing of a part
SAME = ["event_id", "card_token", "occurred_at"]  # by which a payment of one dataset is found in another
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]


def gate(request: GateRequest, progress: ProgressCallback) -> GateReport:
    """Average precision, of all and by part, and card precision; golden inputs; latency.

    All history of the dataset is replayed, each label once it was known, as in service; only locked payments
    with a label are measured. Raises ValueError for a dataset that is not what was frozen.
    """
    progress(ProgressEvent("open", message="replaying golden inputs"))
    candidate, golden = open_candidate(FraudPredictor.load, request.candidate)
    if candidate is None:
        return GateReport((golden,))
    champion, lines = open_champion(FraudPredictor.load, request.champion)
    frame, _ = load_frozen(request.candidate.dataset_dir)
    locked = (frame["split"].to_numpy() == LOCKED) & frame["fraud"].notna().to_numpy(bool)
    rows = np.flatnonzero(locked & ~_taught(frame, request))
    lines = [golden, *lines, locked_line(int(locked.sum()), len(rows))]
    if not len(rows):
        return GateReport(tuple(lines))
    features, rows_of_cards = replay_features(frame, progress), rows_by_card(frame)
    scores = {
        name: score_features(predictor, features, rows_of_cards, progress)[rows]
        for name, predictor in (("candidate", candidate), ("champion", champion))
        if predictor is not None
    }
    progress(ProgressEvent("compare", message="drawing cards again and again"))
    lines += _compared(frame.iloc[rows], scores, request.seed)
    progress(ProgressEvent("latency", message="one payment at a time"))
    event = events_of(frame.iloc[rows[:1]])
    calls = {"candidate": lambda: candidate.score_batch(event, {}, explain=False)}
    if champion is not None:
        calls["champion"] = lambda: champion.score_batch(event, {}, explain=False)
    lines.append(latency_line(timed_ms(calls), request))
    return GateReport(tuple(lines), len(rows), int(locked.sum()) - len(rows))


def _taught(frame: pd.DataFrame, request: GateRequest) -> Bools:
    """Which payments taught the champion, if that learnt from another dataset."""
    if request.champion is None or request.champion.dataset_dir == request.candidate.dataset_dir:
        return np.zeros(len(frame), bool)
    other, _ = load_frozen(request.champion.dataset_dir)
    known = pd.MultiIndex.from_frame(other.loc[other["split"].isin(TAUGHT), SAME])
    return np.asarray(pd.MultiIndex.from_frame(frame[SAME]).isin(known), bool)


def _compared(frame: pd.DataFrame, scores: Mapping[str, Floats], seed: int) -> list[GateLine]:
    cards = frame["card_token"].to_numpy()
    parts = _parts(frame)
    each = {name: _Precisions(frame, given, parts) for name, given in scores.items()}
    ours = each["candidate"]
    title = "Average precision"
    if "champion" not in each:
        return [lone_line("ap", title, ours.whole, cards, ours.prevalence, seed=seed)]
    theirs = each["champion"]
    whole = differences(ours.whole, theirs.whole, cards, seed=seed)
    lines = [
        quality_line(name, said, found := whole.get(name), _margin(found))
        for name, said in (("ap", title), ("card_precision", f"Card precision at {BUDGET} a day"))
    ]
    lines.append(above_chance("ap", ours.whole, cards, ours.prevalence, seed=seed))
    level = level_of_parts(len(parts))
    of_parts = differences(ours.parts, theirs.parts, cards, seed=seed, level=level)
    return lines + [
        part_line(name, f"{title}, {name.partition(':')[2]}", found, _margin(found))
        for name, found in of_parts.items()
    ]


def _margin(found: Any) -> float:
    return MARGIN_SHARE * found.champion if found is not None else 0.0


def _parts(frame: pd.DataFrame) -> dict[str, Bools]:
    """Which payments belong to each channel, and to the smaller and the larger half of amounts."""
    amounts, channels = frame["amount_minor"].to_numpy(), frame["channel"].to_numpy()
    middle, fraud = np.median(amounts), frame["fraud"].to_numpy(int) == 1
    found = {f"channel {name}": channels == name for name in sorted({*channels} - {"", "unknown"})}
    found |= {"smaller amounts": amounts <= middle, "larger amounts": amounts > middle}
    return {
        name: those
        for name, those in found.items()
        if those.sum() >= PART_PAYMENTS and fraud[those].sum() >= PART_FRAUDS
    }


class _Precisions:
    """Of payments drawn by their rows, whole cards at a time."""

    def __init__(self, frame: pd.DataFrame, scores: Floats, parts: Mapping[str, Bools]) -> None:
        self.labels, self.scores, self.in_parts = frame["fraud"].to_numpy(int), scores, parts
        weights = weights_of(frame)
        self.weights = np.ones(len(frame)) if weights is None else weights
        self.cards, codes = np.unique(frame["card_token"].to_numpy(), return_inverse=True)
        self.codes, self.of_card = codes, np.bincount(codes)
        self.days = _ranked_days(days_of(frame), codes, scores, self.labels)

    @property
    def prevalence(self) -> float:
        return float(np.average(self.labels, weights=self.weights))

    def whole(self, rows: Ints) -> dict[str, float | None]:
        return {"ap": self._ap(rows), "card_precision": self._card_precision(rows)}

    def parts(self, rows: Ints) -> dict[str, float | None]:
        return {f"part:{name}": self._ap(rows[those[rows]]) for name, those in self.in_parts.items()}

    def _ap(self, rows: Ints) -> float | None:
        return average_precision(self.labels[rows], self.scores[rows], self.weights[rows])

    def _card_precision(self, rows: Ints) -> float | None:
        """As `ml.fraud.evaluate.card_precision`, where a card that was drawn twice stands there twice."""
        drawn = np.bincount(self.codes[rows], minlength=len(self.cards)) // self.of_card
        daily = []
        for cards, fraud in self.days:
            there = drawn[cards]
            looked_at = np.clip(BUDGET - (np.cumsum(there) - there), 0, there)
            daily.append(float(looked_at[fraud].sum()) / BUDGET)
            drawn[cards[fraud & (looked_at > 0)]] = 0  # a card once detected leaves the days after
        return float(np.mean(daily)) if daily else None


def _ranked_days(days: Ints, codes: Ints, scores: Floats, labels: Ints) -> list[tuple[Ints, Bools]]:
    """Each day's cards, the one with the highest score first, and whether there was fraud on it that day."""
    found = []
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        order = rows[np.argsort(-scores[rows], kind="stable")]
        cards, first = np.unique(codes[order], return_index=True)
        fraud = np.zeros(int(codes.max()) + 1, bool)
        fraud[codes[rows[labels[rows] == 1]]] = True
        ranked = cards[np.argsort(first, kind="stable")]
        found.append((ranked, fraud[ranked]))
    return found
