"""Training and serving meet the same numbers: bit for bit, over as many events as asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pytest

from ml.fraud.importing import events_of
from ml.fraud.predict import FraudPredictor
from ml.fraud.simulator import simulate
from ml.fraud.train import _gru_logits, _replay, _rows_by_card

EVENTS = int(os.environ.get("LYNCEUS_PARITY_EVENTS") or 20_000)
BATCH = 64


@pytest.mark.soak
def test_serving_sees_what_training_saw(trained) -> None:
    """States go through their bytes after every batch, as in the database."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    frame = simulate(n_customers=EVENTS // 40, n_terminals=EVENTS // 100, n_days=40, start=start, seed=7)
    frame = frame.iloc[:EVENTS]
    assert len(frame) == EVENTS
    predictor = FraudPredictor.load(trained.artefact_dir)
    events = events_of(frame)
    features = _replay(events, lambda event: None)
    logits = _gru_logits(predictor.gru, features, _rows_by_card(frame["card_token"]), lambda event: None)
    wanted = np.column_stack([features, logits])
    cards: dict[str, bytes] = {}
    terminals: dict[str, bytes] = {}
    for first in range(0, EVENTS, BATCH):
        result = predictor.score_batch(events[first : first + BATCH], cards, terminals, explain=False)
        cards |= result.card_states
        terminals |= result.terminal_states
        for row, one in zip(wanted[first : first + BATCH], result.scores, strict=True):
            assert one.vector.tobytes() == row.tobytes()
