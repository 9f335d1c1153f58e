"""Training and serving meet the same numbers: bit for bit, over as many events as asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from ml.fraud.clock import with_offsets
from ml.fraud.contracts import Event, Label
from ml.fraud.importing import events_of, too_old
from ml.fraud.predict import FraudPredictor, learn_batch, take_back_batch
from ml.fraud.replay import (
    Placed,
    gru_logits,
    labels_in,
    replay,
    replay_features,
    reversals_in,
    rows_by_card,
)
from ml.fraud.simulator import simulate
from ml.fraud.state import CardState
from ml.fraud.windows import DAY_US, HOUR_US

EVENTS = int(os.environ.get("LYNCEUS_PARITY_EVENTS") or 20_000)
BATCH = 64


@pytest.fixture(scope="module")
def unruly() -> pd.DataFrame:
    """Events in the order in which they are decided: some late, some out of order, some twice, some too old
    for the states, some taken back, before their payment even."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    frame = simulate(n_customers=EVENTS // 40, n_terminals=EVENTS // 100, n_days=40, start=start, seed=7)
    rng = np.random.default_rng(7)
    chosen = rng.random(len(frame))
    late = pd.to_timedelta(np.where(chosen < 0.05, rng.exponential(40.0, len(frame)), 0.0), unit="h")
    decided = (frame["occurred_at"] + late).to_numpy()
    frame = frame.iloc[np.argsort(decided, kind="stable")]
    twice = frame.index.repeat(np.where(rng.random(len(frame)) < 0.02, 2, 1))
    frame = frame.loc[twice].iloc[:EVENTS].reset_index(drop=True)
    frame["received_at"] = frame["occurred_at"] + pd.to_timedelta(
        np.where(rng.random(len(frame)) < 0.03, 31, 0), unit="D"
    )
    frame["taken_back"] = taken_back(rng, frame)
    frame["device_id"] = np.where(rng.random(len(frame)) < 0.5, "d" + frame["card_token"].str[-2:], "")
    frame = with_offsets(frame, "America/New_York")
    assert frame["utc_offset_s"].nunique() == 2  # the clocks go forward on 8 March
    assert len(frame) == EVENTS
    assert 0.02 < too_old(frame).mean() < 0.04
    assert (frame["taken_back"] != "").mean() > 0.05
    assert not frame["occurred_at"].is_monotonic_increasing
    assert frame["event_id"].duplicated().any()
    return frame


def taken_back(rng: np.random.Generator, frame: pd.DataFrame) -> list[str]:
    """Of every twelfth payment a third, of half of those the rest as well; many come before their payment."""
    told = []
    at_us = frame["occurred_at"].astype("int64").tolist()
    for paid_us, minor, chosen in zip(at_us, frame["amount_minor"].tolist(), rng.random(EVENTS), strict=True):
        first_us = paid_us + int(rng.normal(6, 12) * HOUR_US)
        parts = [(first_us, minor // 3), (first_us + DAY_US, minor - minor // 3)]
        told.append(json.dumps(parts[: 1 + (chosen < 1 / 24)]) if chosen < 1 / 12 else "")
    return told


def as_served(
    predictor: FraudPredictor, events: list[Event], labels: list[Label], back: list[Placed]
) -> Iterator[np.ndarray]:
    """Vectors in batches cut where labels or reversals arrive; states go through their bytes, as in the
    database."""
    states: dict[str, bytes] = {}
    waiting, heard, told = 0, 0, 0
    while told < len(events):
        known = waiting
        while known < len(labels) and labels[known].known_at_us <= events[told].occurred_at_us:
            known += 1
        states.update(learn_batch(labels[waiting:known], states).states)
        due = heard
        while due < len(back) and back[due][0] <= told:
            due += 1
        states.update(take_back_batch([one for _, one in back[heard:due]], states).states)
        waiting, heard, end = known, due, told + 1
        stop = min(len(events), told + BATCH, back[heard][0] if heard < len(back) else EVENTS)
        next_us = labels[known].known_at_us if known < len(labels) else 2**63
        while end < stop and events[end].occurred_at_us < next_us:
            end += 1
        result = predictor.score_batch(events[told:end], states, explain=False)
        states.update(result.states)
        yield from (one.vector for one in result.scores)
        told = end


def replayed(predictor: FraudPredictor, frame: pd.DataFrame) -> np.ndarray:
    features = replay_features(frame, lambda event: None)
    margins, cards = predictor.tree_margins(features), rows_by_card(frame)
    logits = gru_logits(predictor.gru, features, margins, cards, lambda event: None)
    return np.column_stack([features, logits])


@pytest.mark.soak
def test_serving_sees_what_training_saw(trained, unruly) -> None:
    predictor = FraudPredictor.load(trained.artefact_dir)
    wanted = replayed(predictor, unruly)
    served = as_served(predictor, events_of(unruly), list(labels_in(unruly)), reversals_in(unruly))
    for row, vector in zip(wanted, served, strict=True):
        assert vector.tobytes() == row.tobytes()


def test_a_state_that_forgets_something_is_found_out(trained, unruly, monkeypatch) -> None:
    """The twin of the test above: bytes that lose one counter are not bit-equal."""
    part = unruly.iloc[:4000]
    predictor = FraudPredictor.load(trained.artefact_dir)
    wanted = replayed(predictor, part)
    honest = CardState.to_bytes

    def forgetful(self: CardState) -> bytes:
        self.day_unusual[0] = 0
        return honest(self)

    monkeypatch.setattr(CardState, "to_bytes", forgetful)
    served = as_served(predictor, events_of(part), list(labels_in(part)), reversals_in(part))
    assert np.stack(list(served)).tobytes() != wanted.tobytes()


@pytest.mark.parametrize("forgotten", ["received_at", "taken_back", "utc_offset_s"])
def test_lateness_what_was_taken_back_and_the_clock_tell(trained, unruly, forgotten: str) -> None:
    """Twins as well: who serves as if there were none of it sees something else."""
    part = unruly.iloc[:4000]
    predictor = FraudPredictor.load(trained.artefact_dir)
    wanted, blind = replayed(predictor, part), part.drop(columns=forgotten)
    served = as_served(predictor, events_of(blind), list(labels_in(part)), reversals_in(blind))
    assert np.stack(list(served)).tobytes() != wanted.tobytes()


def test_labels_move_the_features_only_once_they_are_known(trained, unruly) -> None:
    """With no label at all every event is as one of a card and terminal without a known fraud."""
    part = unruly.iloc[: EVENTS * 3 // 5]  # as many days of however many cards, well beyond the first labels
    events, labels = events_of(part), list(labels_in(part))
    without = replay(events, [], len(part), lambda event: None)
    taught = replay(events, labels, len(part), lambda event: None)
    first_bad_us = min(label.known_at_us for label in labels if label.fraud)
    # One that comes late is decided with what is known by then.
    early = np.maximum.accumulate([event.occurred_at_us for event in events]) < first_bad_us
    assert early.any()
    assert np.array_equal(without[early], taught[early])
    assert not np.array_equal(without, taught)
