"""What the network adds to an event is split over the earlier events it remembers, and adds up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from ml.fraud.contracts import Event, Influence
from ml.fraud.features import N_FEATURES
from ml.fraud.importing import events_of
from ml.fraud.predict import FraudPredictor

LATEST = 30


@pytest.fixture(scope="module")
def predictor(trained) -> FraudPredictor:
    return FraudPredictor.load(trained.artefact_dir, trained.artefact_hash)


@pytest.fixture(scope="module")
def of_one_card(history) -> list[Event]:
    events = events_of(history[history["card_token"] == history["card_token"].value_counts().index[0]])
    assert len(events) > 2 * LATEST
    return events


def vectors_of(predictor: FraudPredictor, events: Sequence[Event]) -> np.ndarray:
    return np.stack([one.vector for one in predictor.score_batch(events, {}, explain=False).scores])


def of_last(predictor: FraudPredictor, events: Sequence[Event], latest: int = LATEST) -> Influence:
    vectors = vectors_of(predictor, events)
    [parts] = predictor.influences(vectors[-1:], [vectors[:-1][-latest:]])
    return parts


def test_the_parts_add_up_to_what_the_network_added(predictor, of_one_card) -> None:
    vectors = vectors_of(predictor, of_one_card)
    places = (0, 1, 5, 40, len(vectors) - 1)  # together, with histories of different length
    found = predictor.influences(vectors[list(places)], [vectors[max(0, at - LATEST) : at] for at in places])
    for at, parts in zip(places, found, strict=True):
        assert len(parts.of_earlier) == min(at, LATEST)
        whole = parts.by_itself + sum(parts.of_earlier) + parts.rest
        assert whole == pytest.approx(float(vectors[at, -1]), abs=1e-12)


def test_a_history_that_is_whole_leaves_no_rest_and_a_cut_one_does(predictor, of_one_card) -> None:
    assert of_last(predictor, of_one_card[:20]).rest == pytest.approx(0, abs=1e-6)
    assert abs(of_last(predictor, of_one_card[:20], latest=1).rest) > 2e-5


def test_each_part_is_what_the_step_by_step_network_gives(predictor, of_one_card) -> None:
    vectors = vectors_of(predictor, of_one_card[:6])
    margins = predictor.tree_margins(vectors[:, :-1])
    wanted = []
    for start in range(5, -1, -1):
        hidden = None
        for at in range(start, 6):
            logit, hidden = predictor.gru.step(vectors[at, :-1], margins[at], hidden)
        wanted.append(logit)
    parts = of_last(predictor, of_one_card[:6])
    assert parts.by_itself == pytest.approx(wanted[0], abs=1e-5)
    assert parts.of_earlier == pytest.approx(np.diff(wanted)[::-1], abs=1e-5)


def test_an_unusual_earlier_payment_is_what_moved_the_network_most(predictor, of_one_card) -> None:
    events = of_one_card[:25]
    strange = dataclasses.replace(
        events[20], amount_minor=events[20].amount_minor * 30, country="US", terminal_id="t-never-seen"
    )
    plain = of_last(predictor, events).of_earlier
    planted = of_last(predictor, [*events[:20], strange, *events[21:]]).of_earlier
    assert np.argmax(np.abs(planted)) == 20
    assert abs(planted[20]) > 3 * abs(plain[20])


def test_without_the_histories_nothing_is_put_down_to_an_earlier_event(predictor, of_one_card) -> None:
    vectors = vectors_of(predictor, of_one_card[:25])
    [parts] = predictor.influences(vectors[-1:], [np.empty((0, N_FEATURES + 1), np.float32)])
    assert parts.of_earlier == ()
    assert parts.by_itself + parts.rest == pytest.approx(float(vectors[-1, -1]), abs=1e-12)
    assert predictor.influences(vectors[:0], []) == []
