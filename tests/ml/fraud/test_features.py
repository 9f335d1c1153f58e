"""Features know the past only, are the same in replay and in service, and states survive as bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ml.fraud.contracts import Event
from ml.fraud.features import FEATURE_NAMES, absorb, great_circle_km, observe
from ml.fraud.importing import events_of
from ml.fraud.state import CardState, StateError, TerminalState

HOUR_US = 3_600_000_000


def event(at_h: float = 1000.0, **changes: object) -> Event:
    given = Event("e", "authorization", int(at_h * HOUR_US), "c", 2000, "EUR", "m", "t", "5411", "BE")
    return dataclasses.replace(given, **changes)


def vectors(events: list[Event]) -> list[np.ndarray]:
    cards: dict[str, CardState] = {}
    terminals: dict[str, TerminalState] = {}
    out = []
    for one in events:
        card = cards.setdefault(one.card_token, CardState())
        terminal = terminals.setdefault(one.terminal_id, TerminalState())
        out.append(observe(one, card, terminal))
        absorb(one, card, terminal)
    return out


def value(vector: np.ndarray, name: str) -> float:
    return float(vector[FEATURE_NAMES.index(name)])


def test_a_cold_start_is_finite_and_claims_nothing_new() -> None:
    (vector,) = vectors([event()])
    assert np.isfinite(vector).all()
    assert value(vector, "new_terminal") == value(vector, "country_changed") == 0
    assert value(vector, "since_last_log") == -1


def test_what_analysts_look_for_shows() -> None:
    honest = [event(1000 + 24 * i, latitude=50.8, longitude=4.4) for i in range(10)]
    abroad = event(
        1216.5, amount_minor=22_000, country="US", terminal_id="t9", latitude=40.7, longitude=-74.0
    )
    last = vectors([*honest, abroad])[-1]
    assert np.exp(value(last, "amount_over_usual")) == pytest.approx(10.5, rel=0.02)
    assert value(last, "new_terminal") == value(last, "country_changed") == 1
    assert np.expm1(value(last, "speed_log")) > 5000


def test_counters_fade_in_event_time() -> None:
    burst = vectors([event(1000 + i / 60) for i in range(5)])[-1]
    assert value(burst, "card_count_1h") > 3.5
    assert value(vectors([event(1000), event(1024)])[-1], "card_count_1h") < 1e-9


def test_an_event_from_the_past_does_not_turn_time_back() -> None:
    card, terminal = CardState(), TerminalState()
    absorb(event(1000), card, terminal)
    late = observe(event(900), card, terminal)
    absorb(event(900), card, terminal)
    assert np.isfinite(late).all()
    assert card.last_us == terminal.last_us == 1000 * HOUR_US


def test_features_see_nothing_of_the_future(history) -> None:
    events = events_of(history.iloc[:2000])
    before = vectors(events)[:1000]
    changed = [dataclasses.replace(e, amount_minor=e.amount_minor * 7 + 1) for e in events[1000:]]
    after = vectors([*events[:1000], *changed])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=False))
    assert not np.array_equal(after[1000], vectors(events)[1000])


def test_states_come_back_as_they_were() -> None:
    card, terminal = CardState(), TerminalState()
    for i in range(12):
        absorb(
            event(1000 + i, terminal_id=f"t{i}", device_id="d", latitude=1.5, longitude=2.5), card, terminal
        )
    card.hidden = np.arange(8, dtype=np.float32)
    again = CardState.from_bytes(card.to_bytes())
    assert again.to_bytes() == card.to_bytes()
    assert again.terminals == card.terminals
    assert TerminalState.from_bytes(terminal.to_bytes()) == terminal


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-1], lambda b: b"\xff" + b[1:], lambda b: b + b"x", lambda b: b""]
)
def test_spoilt_states_are_refused(spoil) -> None:
    with pytest.raises(StateError):
        CardState.from_bytes(spoil(CardState(hidden=np.zeros(4, np.float32)).to_bytes()))
    with pytest.raises(StateError):
        TerminalState.from_bytes(spoil(TerminalState().to_bytes()))


def test_distance() -> None:
    assert great_circle_km(50.85, 4.35, 40.71, -74.0) == pytest.approx(5890, rel=0.01)
