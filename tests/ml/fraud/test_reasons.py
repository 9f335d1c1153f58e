"""Reasons say what is so, also of a card and a terminal nobody has seen before, and add up to the score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ml.fraud.contracts import Event, Label
from ml.fraud.features import N_FEATURES
from ml.fraud.memory import Memory
from ml.fraud.reasons import GROUPS, NAMES, reasons_for

EVENT = Event("e", "authorization", 3_600_000_000_000, "c", 2000, "EUR", "m", "t", "5411", "BE")


def told(event: Event, memory: Memory) -> dict[str, str]:
    """Every group's text, by code."""
    vector = np.append(memory.advance(event), 0.0).astype(np.float32)
    texts = {}
    for code, _members, main, _say in GROUPS:
        weights = np.zeros(N_FEATURES + 2, np.float32)
        weights[NAMES.index(main)] = 1.0
        texts[code] = reasons_for(vector, weights, vector)[0].text
    return texts


@pytest.fixture
def seen() -> Memory:
    memory = Memory()
    for minute in range(6):
        memory.advance(dataclasses.replace(EVENT, occurred_at_us=EVENT.occurred_at_us + minute))
    return memory


def test_a_first_transaction_is_compared_with_nothing() -> None:
    texts = told(EVENT, Memory())
    assert texts["amount"] == "Amount is 20.00; this card has no usual one yet"
    assert texts["terminal"] == "First transaction seen of this terminal"
    assert texts["pause"] == "First transaction seen of this card"
    assert texts["history"] == "No earlier transaction of this card"
    assert texts["terminal_frauds"] == "No fraud known of this terminal in the last 30 days"
    assert not any("times" in text for text in texts.values())


def test_a_known_card_is_compared_with_itself(seen) -> None:
    texts = told(dataclasses.replace(EVENT, amount_minor=10_000), seen)
    assert texts["amount"] == "Amount is 4.8 times this card's usual"
    assert texts["terminal"] == "Amount is 4.8 times this terminal's usual"
    assert texts["velocity"] == "7 transactions of this card in this hour and the last"
    assert texts["history"] == "6 earlier transactions of this card"


def test_one_is_not_said_as_many(seen) -> None:
    seen.hear(Label("c", "t", EVENT.occurred_at_us, EVENT.occurred_at_us, 2000, fraud=True))
    texts = told(EVENT, seen)
    assert texts["terminal_frauds"] == "1 fraud known of this terminal in the last 30 days"
    assert texts["card_frauds"] == "1 fraud known of this card in the last 30 days"


def test_the_weights_add_up_to_the_margin(seen) -> None:
    vector = np.append(seen.advance(EVENT), 0.3).astype(np.float32)
    weights = np.random.default_rng(3).normal(size=N_FEATURES + 2).astype(np.float32)
    told_of = reasons_for(vector, weights, vector)
    assert sum(reason.weight for reason in told_of) == pytest.approx(float(weights.sum()), abs=1e-4)
    strengths = [abs(reason.weight) for reason in told_of[:-1]]
    assert strengths == sorted(strengths, reverse=True)
