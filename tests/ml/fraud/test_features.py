"""Features know the past only, are the same in replay and in service, and states survive as bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ml.fraud.contracts import Event, Label
from ml.fraud.features import FEATURE_NAMES, great_circle_km, windows_of
from ml.fraud.importing import events_of
from ml.fraud.memory import Memory
from ml.fraud.replay import replay, replay_features
from ml.fraud.state import CardState, TerminalState
from ml.fraud.windows import StateError, Windows

HOUR_US = 3_600_000_000


def event(at_h: float = 1000.0, **changes: object) -> Event:
    given = Event("e", "authorization", int(at_h * HOUR_US), "c", 2000, "EUR", "m", "t", "5411", "BE")
    return dataclasses.replace(given, **changes)


def vectors(events: list[Event]) -> list[np.ndarray]:
    memory = Memory()
    return [np.array(memory.advance(one), np.float32) for one in events]


def value(vector: np.ndarray | list[float], name: str) -> float:
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
    assert value(last, "new_terminal") == value(last, "country_changed") == value(last, "new_country") == 1
    home = event(1217)
    there_again = dataclasses.replace(abroad, occurred_at_us=1218 * HOUR_US)
    back, again = vectors([*honest, abroad, home, there_again])[-2:]
    for vector in (back, again):
        assert (value(vector, "country_changed"), value(vector, "new_country")) == (1, 0)
    assert np.expm1(value(last, "speed_log")) > 5000


def test_counters_fade_in_event_time() -> None:
    burst = vectors([event(1000 + i / 60) for i in range(5)])[-1]
    assert value(burst, "card_count_1h") > 3.5
    assert value(vectors([event(1000), event(1024)])[-1], "card_count_1h") < 1e-9


def test_an_event_from_the_past_does_not_turn_time_back() -> None:
    memory = Memory()
    memory.advance(event(1000))
    assert np.isfinite(memory.advance(event(900))).all()
    assert memory.cards["c"].last_us == memory.terminals["t"].last_us == 1000 * HOUR_US


def test_features_see_nothing_of_the_future(history) -> None:
    events = events_of(history.iloc[:2000])
    before = vectors(events)[:1000]
    changed = [dataclasses.replace(e, amount_minor=e.amount_minor * 7 + 1) for e in events[1000:]]
    after = vectors([*events[:1000], *changed])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=False))
    assert not np.array_equal(after[1000], vectors(events)[1000])


def test_states_come_back_as_they_were() -> None:
    memory = Memory()
    for i in range(12):
        memory.advance(event(1000 + 9 * i, terminal_id=f"t{i}", device_id="d", latitude=1.5, longitude=2.5))
    memory.cards["c"].hidden = np.arange(8, dtype=np.float32)
    kept = memory.to_bytes()
    assert sorted(kept)[:3] == ["card:c", "device:d", "merchant:m"]
    again = Memory.of(kept, kept)
    assert again.to_bytes() == kept
    assert again.cards["c"].terminals == memory.cards["c"].terminals
    assert (again.terminals, again.merchants) == (memory.terminals, memory.merchants)
    assert again.devices == memory.devices


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[:-1],
        lambda b: b"\xff" + b[1:],
        lambda b: b"\x00" + b[1:],
        lambda b: b + b"x",
        lambda b: b"",
    ],
)
def test_spoilt_states_are_refused(spoil) -> None:
    with pytest.raises(StateError):
        CardState.from_bytes(spoil(CardState(hidden=np.zeros(4, np.float32)).to_bytes()))
    with pytest.raises(StateError):
        TerminalState.from_bytes(spoil(TerminalState().to_bytes()))
    with pytest.raises(StateError):
        Windows.from_bytes(spoil(Windows().to_bytes()))


def test_distance() -> None:
    assert great_circle_km(50.85, 4.35, 40.71, -74.0) == pytest.approx(5890, rel=0.01)


def label(of: Event, fraud: bool, delay_h: float = 168) -> Label:
    known_us = of.occurred_at_us + int(delay_h * HOUR_US)
    return Label(of.card_token, of.terminal_id, of.occurred_at_us, known_us, of.amount_minor, fraud)


def known_part(vector: np.ndarray) -> np.ndarray:
    return vector[FEATURE_NAMES.index("terminal_bad_14d") :]


def test_a_fraud_not_yet_known_and_none_at_all_are_the_same() -> None:
    """The guard against the leak that once gave an AUC of .967."""
    events = [event(1000 + 24 * i, card_token=f"c{i}") for i in range(6)]
    never = replay(events, [], 6, lambda e: None)
    good_only = replay(events, [label(e, False, 1) for e in events], 6, lambda e: None)
    not_yet = replay(events, [label(events[0], True, delay_h=24 * 5 + 0.1)], 6, lambda e: None)
    for other in (good_only, not_yet):
        assert np.array_equal(never, other)
    known = replay(events, [label(events[0], True, delay_h=24 * 5)], 6, lambda e: None)
    assert np.array_equal(known[:5], never[:5])
    assert not np.array_equal(known_part(known[5]), known_part(never[5]))


def test_labels_of_the_future_change_nothing_before_they_are_known(history) -> None:
    part = history.iloc[:6000]
    other = part.copy()
    at = part["label_known_at"].iloc[3000]
    later = (part["label_known_at"] > at).to_numpy()
    other.loc[later, "fraud"] = 1 - other.loc[later, "fraud"]
    features, changed = replay_features(part, lambda e: None), replay_features(other, lambda e: None)
    before = (part["occurred_at"] <= at).to_numpy()
    assert np.array_equal(features[before], changed[before])
    assert not np.array_equal(features[~before], changed[~before])


def test_a_run_of_known_frauds_ends_with_a_known_good_payment() -> None:
    memory = Memory()
    frauds = [event(1000 + 24 * i) for i in range(3)]
    memory.hear(label(event(976), False))
    for one in frauds:
        memory.hear(label(one, True))
    vector = memory.advance(event(1000 + 24 * 10))
    assert value(vector, "terminal_run") == 3
    assert value(vector, "terminal_run_days") == 10
    assert value(vector, "terminal_run_days_most") == 11
    memory.hear(label(event(1000 + 24 * 4), False))
    vector = memory.advance(event(1000 + 24 * 11))
    assert value(vector, "terminal_run") == 0
    assert value(vector, "terminal_good_since_bad") == 1


def test_counts_do_not_depend_on_the_order_in_which_events_arrive() -> None:
    events = [event(1000 + 7 * i, amount_minor=1000 + i) for i in range(40)]
    shuffled = [events[i] for i in np.random.default_rng(0).permutation(40)]
    last = event(1000 + 7 * 40)
    names = [name for kind in ("card", "terminal", "merchant", "device") for name in windows_of(kind)]
    both = [vectors([*order, last])[-1] for order in (events, shuffled)]
    for name in names:
        assert value(both[0], name) == value(both[1], name)


def test_a_state_of_an_earlier_version_begins_anew() -> None:
    assert CardState.from_bytes(b"\x01" + bytes(300)).n == 0
    assert TerminalState.from_bytes(b"\x01" + bytes(60)) == TerminalState()


def of_known_fraud(amount_minor: int, before: list[int]) -> np.ndarray:
    """The next card's features at a terminal where a settled card's payment became known as fraud."""
    usual = [event(1000 + 24 * i, terminal_id=f"t{i}") for i in range(10)]
    recent = [event(1241 + i, terminal_id="o", amount_minor=one) for i, one in enumerate(before)]
    bad = event(1250, amount_minor=amount_minor)
    after = event(1250 + 170, card_token="d")
    events = [*usual, *recent, bad, after]
    return replay(events, [label(bad, True)], len(events), lambda e: None)[-1]


def test_a_fraud_that_its_card_explains_does_not_accuse_the_terminal() -> None:
    lone, stolen, large = (
        of_known_fraud(2000, []), of_known_fraud(2000, [9000]), of_known_fraud(9000, [])
    )  # fmt: skip
    assert [value(one, "terminal_run") for one in (lone, stolen, large)] == [1, 1, 1]
    assert [value(one, "terminal_run_lone") for one in (lone, stolen, large)] == [1, 0, 0]
    assert abs(value(lone, "terminal_run_least")) < 0.01 < 1.3 < value(large, "terminal_run_least")
