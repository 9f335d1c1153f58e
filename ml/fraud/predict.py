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
from ml.fraud.absorb import absorb, absorb_label, take_back
from ml.fraud.contracts import (
    BatchResult,
    Event,
    EventBatch,
    EventScore,
    Influence,
    Label,
    Reason,
    Reversal,
    Thresholds,
    Vector,
)
from ml.fraud.features import FEATURE_NAMES, N_FEATURES, observe
from ml.fraud.influence import influences
from ml.fraud.reasons import reasons_for
from ml.fraud.rnn import Gru
from ml.fraud.state import CardState, TerminalState

Matrix = npt.NDArray[np.float32]
States = Mapping[str, bytes]


@dataclass(slots=True)
class Memory:
    """States of the cards and terminals in play, read from bytes once and written back once."""

    cards: dict[str, CardState]
    terminals: dict[str, TerminalState]

    @classmethod
    def of(cls, events: Sequence[Event | Label], cards: States, terminals: States) -> Memory:
        """A card or terminal without a state is a cold start."""
        return cls(
            {
                key: CardState.from_bytes(cards[key]) if key in cards else CardState()
                for key in dict.fromkeys(event.card_token for event in events)
            },
            {
                key: TerminalState.from_bytes(terminals[key]) if key in terminals else TerminalState()
                for key in dict.fromkeys(event.terminal_id for event in events)
            },
        )

    def to_bytes(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        return (
            {key: state.to_bytes() for key, state in self.cards.items()},
            {key: state.to_bytes() for key, state in self.terminals.items()},
        )

    def advance(self, event: Event) -> Vector:
        """Features (N_FEATURES,) of this event; both states then know of it, unless it came too late."""
        if event.too_old:
            return observe(event, CardState(), TerminalState())
        card, terminal = self.cards[event.card_token], self.terminals[event.terminal_id]
        features = observe(event, card, terminal)
        absorb(event, card, terminal)
        return features


@dataclass(frozen=True, slots=True)
class FraudPredictor:
    gru: Gru
    trees: Any  # xgboost.Booster
    usual: Vector
    platt: tuple[float, float]
    thresholds: Thresholds
    artefact_hash: str

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

    def score_batch(
        self, events: EventBatch, card_states: States, terminal_states: States, explain: bool = True
    ) -> BatchResult:
        """Score in the given order; later events see what earlier ones did to the states, but for those that
        are too old: each of them is as of a card and terminal never seen, and leaves no trace.

        Raises StateError for bytes that are no state.
        """
        if not events:
            return BatchResult((), {}, {})
        memory = Memory.of([event for event in events if not event.too_old], card_states, terminal_states)
        features = np.stack([memory.advance(event) for event in events])
        of_trees = self.tree_margins(features)
        added = np.empty(len(events), np.float32)
        for i, event in enumerate(events):
            card = CardState() if event.too_old else memory.cards[event.card_token]
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
        return BatchResult(told, *memory.to_bytes())

    def rescore(self, vector: bytes) -> float:
        """The score of a kept vector, little-endian float32 (N_FEATURES + 1,): the one it was given."""
        [score] = self.probabilities(self.margins(np.frombuffer(vector, "<f4")[None, :]))
        return float(score)

    def remember(self, card_state: bytes, vectors: Sequence[bytes]) -> bytes:
        """The state with this network's own memory of the card, made from the vectors of its events.

        vectors: little-endian float32 (N_FEATURES + 1,) each, oldest first; those of an earlier layout are
        passed over. Raises StateError for bytes that are no state.
        """
        state, hidden = CardState.from_bytes(card_state), None
        kept = [np.frombuffer(raw, "<f4")[:-1] for raw in vectors if len(raw) == 4 * (N_FEATURES + 1)]
        margins = self.tree_margins(np.stack(kept)) if kept else ()
        for features, margin in zip(kept, margins, strict=True):
            _, hidden = self.gru.step(features, margin, hidden)
        state.hidden = hidden
        return state.to_bytes()

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


def learn_batch(labels: Sequence[Label], card_states: States, terminal_states: States) -> BatchResult:
    """States of the labelled events' cards and terminals once these labels are known; no scores.

    `labels` in the order in which they became known, and none of them before its `known_at_us`.
    Raises StateError for bytes that are no state.
    """
    memory = Memory.of(labels, card_states, terminal_states)
    for label in labels:
        absorb_label(label, memory.cards[label.card_token], memory.terminals[label.terminal_id])
    return BatchResult((), *memory.to_bytes())


def take_back_batch(reversals: Sequence[Reversal], card_states: States) -> BatchResult:
    """States of the cards once these amounts are taken back; a card without a state has none to take.

    Raises StateError for bytes that are no state.
    """
    keys = dict.fromkeys(one.card_token for one in reversals)
    cards = {key: CardState.from_bytes(card_states[key]) for key in keys if key in card_states}
    for one in reversals:
        if one.card_token in cards:
            take_back(one, cards[one.card_token])
    return BatchResult((), {key: state.to_bytes() for key, state in cards.items()}, {})
