"""Serve a fraud artefact: NumPy for the recurrent step, one thread of XGBoost for the trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.artefact import Artefact, ArtefactError, open_artefact, require_golden
from ml.common.calibration import sigmoid
from ml.fraud.contracts import (
    BatchResult,
    EventBatch,
    EventScore,
    Influence,
    KeptVector,
    Label,
    Reason,
    Reversal,
    Thresholds,
    Vector,
)
from ml.fraud.features import FEATURE_NAMES, N_FEATURES
from ml.fraud.influence import influences
from ml.fraud.memory import Memory, States, keys_of, keys_of_label
from ml.fraud.reasons import reasons_for
from ml.fraud.rnn import Gru
from ml.fraud.state import CardState

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FraudPredictor:
    gru: Gru
    trees: Any  # xgboost.Booster
    usual: Vector
    platt: tuple[float, float]
    thresholds: Thresholds
    artefact_hash: str
    time_zone: str  # whose days and hours it learnt

    @classmethod
    def load(cls, folder: Path, expected_hash: str | None = None) -> FraudPredictor:
        """Raises ArtefactError for a folder that is not what was written, or answers otherwise."""
        artefact = open_artefact(folder, expected_hash, kind="fraud")
        predictor = cls._from(artefact)
        golden = artefact.golden()
        require_golden("margins", predictor.margins(golden["vectors"]), golden["margins"], atol=1e-4)
        hidden, logits = None, []
        for vector in golden["sequence"]:
            logit, hidden = predictor.gru.step(vector[:-1], vector[-1], hidden)
            logits.append(logit)
        require_golden("sequence", np.array(logits), golden["logits"], atol=1e-4)
        return predictor

    @classmethod
    def _from(cls, artefact: Artefact) -> FraudPredictor:
        import xgboost
        from safetensors.numpy import load_file

        meta = artefact.meta
        if tuple(meta["features"]) != FEATURE_NAMES:
            raise ArtefactError(
                "malformed", "The artefact was trained on other features than this code makes."
            )
        trees = xgboost.Booster({"nthread": 1})
        trees.load_model(str(artefact.path("trees.ubj")))
        trees.set_param({"nthread": 1})
        return cls(
            gru=Gru.from_arrays(load_file(artefact.path("weights.safetensors"))),
            trees=trees,
            usual=np.array(meta["usual"], np.float32),
            platt=(meta["platt"]["scale"], meta["platt"]["bias"]),
            thresholds=Thresholds(**meta["thresholds"]),
            artefact_hash=artefact.artefact_hash,
            time_zone=meta["time_zone"],
        )

    def margins(self, vectors: Matrix) -> Vector:
        """Raw log-odds (n,) for (n, N_FEATURES + 1): of the trees, and what the network adds to them."""
        return self.tree_margins(vectors[:, :-1]) + vectors[:, -1]

    def tree_margins(self, features: Matrix) -> Vector:
        """Raw log-odds (n,) of the trees alone for (n, N_FEATURES)."""
        out = self.trees.inplace_predict(np.ascontiguousarray(features), predict_type="margin")
        return np.asarray(out, np.float32)

    def probabilities(self, margins: Vector) -> npt.NDArray[np.floating]:
        scale, bias = self.platt
        return sigmoid(scale * margins.astype(np.float64) + bias)

    def score_batch(self, events: EventBatch, states: States, explain: bool = True) -> BatchResult:
        """Score in the given order; later events see what earlier ones did to the states, but for those that
        are too old: each of them is as of a card and terminal never seen, and leaves no trace.

        Raises StateError for bytes that are no state.
        """
        if not events:
            return BatchResult((), {})
        memory = Memory.of([key for one in events if not one.too_old for key in keys_of(one)], states)
        features = np.array([memory.advance(event) for event in events], np.float32)
        of_trees = self.tree_margins(features)
        added = np.empty(len(events), np.float32)
        for i, event in enumerate(events):
            card = memory.about(event).card
            added[i], card.hidden = self.gru.step(features[i], of_trees[i], card.hidden)
        vectors = np.column_stack([features, added])
        scores = self.probabilities(of_trees + added)
        reasons = self.explain(vectors) if explain else [()] * len(events)
        told = tuple(
            EventScore(
                event_id=event.event_id,
                score=float(scores[i]),
                gru_logit=float(vectors[i, -1]),
                vector=vectors[i],
                reasons=reasons[i],
            )
            for i, event in enumerate(events)
        )
        return BatchResult(told, memory.to_bytes())

    def rescore(self, vector: bytes) -> float:
        """The score of a kept vector, little-endian float32 (N_FEATURES + 1,): the one it was given."""
        [score] = self.probabilities(self.margins(np.frombuffer(vector, "<f4")[None, :]))
        return float(score)

    def remember(self, card_state: bytes, vectors: Sequence[bytes]) -> bytes:
        """The state with this network's own memory of the card, made from the vectors of its events.

        vectors: little-endian float32 (N_FEATURES + 1,) each, oldest first; those of an earlier layout are
        passed over. Raises StateError for bytes that are no state.
        """
        state = CardState.from_bytes(card_state)
        state.hidden = self._hidden_after(vectors)
        return state.to_bytes()

    def memory_of(self, vectors: Sequence[bytes]) -> bytes:
        """This network's memory of a card, little-endian float32 (hidden_size,), from vectors as above; empty
        where there are none."""
        hidden = self._hidden_after(vectors)
        return b"" if hidden is None else hidden.astype("<f4").tobytes()

    def _hidden_after(self, vectors: Sequence[bytes]) -> Vector | None:
        hidden = None
        kept = [np.frombuffer(raw, "<f4")[:-1] for raw in vectors if len(raw) == 4 * (N_FEATURES + 1)]
        margins = self.tree_margins(np.stack(kept)) if kept else ()
        for features, margin in zip(kept, margins, strict=True):
            _, hidden = self.gru.step(features, margin, hidden)
        return hidden

    def follow(
        self, kept: Sequence[KeptVector], memories: Mapping[str, bytes]
    ) -> tuple[list[float | None], dict[str, bytes]]:
        """Scores of vectors that another version decided on, in the order of deciding, and the memories of
        their cards after: this network's own, by card, as `memory_of` makes them.

        None for one whose score would be no number; it leaves no trace.
        """
        if not kept:
            return [], {}
        features = np.stack([one.vector[:-1] for one in kept])
        of_trees = self.tree_margins(features)
        hidden = {card: np.frombuffer(raw, "<f4") for card, raw in memories.items() if raw}
        added, moved = np.empty(len(kept), np.float32), {}
        for i, one in enumerate(kept):
            before = hidden.get(one.card)
            added[i], after = self.gru.step(features[i], of_trees[i], before if one.knowing else None)
            if one.heard and np.isfinite(added[i]):
                if not one.knowing and before is not None:
                    _, after = self.gru.step(features[i], of_trees[i], before)
                hidden[one.card] = moved[one.card] = after
        scores = [float(score) for score in self.probabilities(of_trees + added)]
        told = [score if np.isfinite(score) else None for score in scores]
        return told, {card: after.astype("<f4").tobytes() for card, after in moved.items()}

    def explain(self, vectors: Matrix) -> list[tuple[Reason, ...]]:
        """For each row of (n, N_FEATURES + 1): which groups of features moved its score, and how much."""
        import xgboost

        data = xgboost.DMatrix(np.ascontiguousarray(vectors[:, :-1]), nthread=1)
        of_trees = np.asarray(self.trees.predict(data, pred_contribs=True), np.float32)
        # Of each feature, of the network, and the trees' bias: they sum to the margin.
        weights = np.column_stack([of_trees[:, :-1], vectors[:, -1], of_trees[:, -1]])
        return [reasons_for(*row, self.usual) for row in zip(vectors, weights, strict=True)]

    def influences(self, vectors: Matrix, histories: Sequence[Matrix]) -> list[Influence]:
        """Which earlier events moved what the network added to each row of (n, N_FEATURES + 1).

        histories: for each row the vectors (k, N_FEATURES + 1) of the same card's latest earlier events in
        the order in which the network heard of them; k may differ, and be 0.
        """
        features = [history[:, :-1] for history in histories]
        margins = self.tree_margins(np.concatenate([vectors[:, :-1], *features]))
        ends = np.cumsum([len(vectors), *map(len, features)])
        own, *theirs = np.split(margins, ends[:-1])
        return influences(self.gru, vectors, own, features, theirs)


def learn_batch(labels: Sequence[Label], states: States) -> BatchResult:
    """States of the labelled events' cards and terminals once these labels are known; no scores.

    `labels` in the order in which they became known, and none of them before its `known_at_us`.
    Raises StateError for bytes that are no state.
    """
    memory = Memory.of([key for label in labels for key in keys_of_label(label)], states)
    for label in labels:
        memory.hear(label)
    return BatchResult((), memory.to_bytes())


def take_back_batch(reversals: Sequence[Reversal], states: States) -> BatchResult:
    """States of those the payments happened at once these amounts are taken back.

    Raises StateError for bytes that are no state.
    """
    memory = Memory.of([key for one in reversals for key in keys_of(one)], states)
    for one in reversals:
        memory.take_back(one)
    return BatchResult((), memory.to_bytes())
