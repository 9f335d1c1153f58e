"""History through the reducer that serves: events in the order given, each label once it was known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.progress import Ticker
from ml.fraud.absorb import absorb, absorb_label
from ml.fraud.contracts import Event, Label, Vector
from ml.fraud.features import N_FEATURES, values_of
from ml.fraud.importing import events_of, too_old
from ml.fraud.rnn import Gru
from ml.fraud.state import CardState, TerminalState

Matrix = npt.NDArray[np.float32]
CHUNK = 20_000


def replay_features(frame: pd.DataFrame, progress: ProgressCallback) -> Matrix:
    """Features (n, N_FEATURES) of canonical rows, in their order."""
    return replay(events_in(frame), labels_in(frame), len(frame), progress)


def replay(events: Iterable[Event], labels: Iterable[Label], n: int, progress: ProgressCallback) -> Matrix:
    """Features (n, N_FEATURES) of the events. `labels` come in the order in which they became known."""
    cards: dict[str, CardState] = {}
    terminals: dict[str, TerminalState] = {}
    features = np.empty((n, N_FEATURES), np.float32)
    waiting = iter(labels)
    label = next(waiting, None)
    ticker = Ticker(total=n)
    for i, event in enumerate(events):
        while label is not None and label.known_at_us <= event.occurred_at_us:
            absorb_label(label, _state(cards, label.card_token), _terminal(terminals, label.terminal_id))
            label = next(waiting, None)
        if event.too_old:
            card, terminal = CardState(), TerminalState()
        else:
            card, terminal = _state(cards, event.card_token), _terminal(terminals, event.terminal_id)
        features[i] = values_of(event, card, terminal)
        absorb(event, card, terminal)
        if i % 2000 == 1999:
            ticker.add(2000)
            progress(ProgressEvent("features", step=i + 1, steps=n, rate=ticker.rate, rate_unit="rows", eta_s=ticker.eta_s))  # fmt: skip # noqa: E501
    return features


def rows_by_card(frame: pd.DataFrame) -> list[npt.NDArray[np.intp]]:
    """Each card's row numbers, in the order of the rows; those that came too late each by itself."""
    late = too_old(frame)
    kept, cards = np.flatnonzero(~late), frame["card_token"][~late]
    together = [kept[rows] for rows in cards.groupby(cards, sort=True).indices.values()]
    return together + [np.array([row]) for row in np.flatnonzero(late)]


def gru_logits(
    gru: Gru,
    features: Matrix,
    margins: Vector,
    rows_of_cards: list[npt.NDArray[np.intp]],
    progress: ProgressCallback,
) -> Vector:
    """(n,) what to add to the trees' margins (n,), by the very step that serves."""
    logits = np.empty(len(features), np.float32)
    progress(ProgressEvent("replay", message="carrying the network's state through every card"))
    for done, rows in enumerate(rows_of_cards):
        hidden = None
        for row in rows:
            logits[row], hidden = gru.step(features[row], margins[row], hidden)
        if done % 100 == 99:
            progress(ProgressEvent("replay", step=done + 1, steps=len(rows_of_cards)))
    return logits


def _state(cards: dict[str, CardState], key: str) -> CardState:
    if (state := cards.get(key)) is None:
        state = cards[key] = CardState()
    return state


def _terminal(terminals: dict[str, TerminalState], key: str) -> TerminalState:
    if (state := terminals.get(key)) is None:
        state = terminals[key] = TerminalState()
    return state


def events_in(frame: pd.DataFrame) -> Iterator[Event]:
    """A chunk at a time: a million events as objects would fill the memory."""
    for start in range(0, len(frame), CHUNK):
        yield from events_of(frame.iloc[start : start + CHUNK])


def labels_in(frame: pd.DataFrame) -> Iterator[Label]:
    """The labelled rows in the order in which their labels became known."""
    known = frame[frame["fraud"].notna()].sort_values("label_known_at", kind="stable")
    for start in range(0, len(known), CHUNK):
        part = known.iloc[start : start + CHUNK]
        for values in zip(
            part["card_token"], part["terminal_id"], _us(part["occurred_at"]), _us(part["label_known_at"]),
            part["amount_minor"].tolist(), part["fraud"].astype(bool), strict=True,
        ):  # fmt: skip
            yield Label(*values)


def _us(times: pd.Series) -> list[int]:
    return [int(value) for value in times.astype("int64")]
