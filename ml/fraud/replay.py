"""History through the reducer that serves: events in the order given, each label once it was known, each
reversal once it came."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.progress import Ticker
from ml.fraud.contracts import Event, Label, Reversal, Vector
from ml.fraud.features import N_FEATURES
from ml.fraud.importing import events_of, too_old, utc_offsets_us
from ml.fraud.memory import Memory
from ml.fraud.rnn import Gru

Matrix = npt.NDArray[np.float32]
Placed = tuple[int, Reversal]
CHUNK = 20_000
NO_MORE: tuple[int, None] = (0, None)


def replay_features(frame: pd.DataFrame, progress: ProgressCallback) -> Matrix:
    """Features (n, N_FEATURES) of canonical rows, in their order."""
    return replay(events_in(frame), labels_in(frame), len(frame), progress, reversals_in(frame))


def replay(
    events: Iterable[Event],
    labels: Iterable[Label],
    n: int,
    progress: ProgressCallback,
    reversals: Iterable[Placed] = (),
) -> Matrix:
    """Features (n, N_FEATURES) of the events. `labels` come in the order in which they became known, and
    `reversals` in that of their places: of how many events the states have heard before."""
    memory = Memory()
    features = np.empty((n, N_FEATURES), np.float32)
    # In a third of the time in which NumPy takes a list; the same float32s.
    write = struct.Struct(f"={N_FEATURES}f").pack_into
    into, row_bytes = features.data.cast("B"), 4 * N_FEATURES
    waiting = iter(labels)
    label = next(waiting, None)
    coming = iter(reversals)
    place, reversal = next(coming, NO_MORE)
    ticker = Ticker(total=n)
    for i, event in enumerate(events):
        while label is not None and label.known_at_us <= event.occurred_at_us:
            memory.hear(label)
            label = next(waiting, None)
        while reversal is not None and place <= i:
            memory.take_back(reversal)
            place, reversal = next(coming, NO_MORE)
        write(into, i * row_bytes, *memory.advance(event))
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
            part["amount_minor"].tolist(), part["fraud"].astype(bool), utc_offsets_us(part).tolist(),
            strict=True,
        ):  # fmt: skip
            yield Label(*values)


def reversals_in(frame: pd.DataFrame) -> list[Placed]:
    """What was taken back of the rows (`taken_back`: JSON [[epoch µs, minor units], ...], or blank).

    Each has its place before the first row that happened no earlier, but behind its own payment: one that
    came first had to wait for it. Rows too old for the states have nothing to take back.
    """
    if "taken_back" not in frame:
        return []
    at_us = frame["occurred_at"].astype("int64").to_numpy()
    offsets_us = utc_offsets_us(frame)
    names = [frame[name].to_numpy() for name in ("card_token", "terminal_id", "merchant_id", "device_id")]
    clock_us, told = np.maximum.accumulate(at_us), frame["taken_back"].to_numpy()
    found = []
    for row in np.flatnonzero((told != "") & ~too_old(frame)):
        for back_us, amount_minor in json.loads(told[row]):
            place = max(int(np.searchsorted(clock_us, back_us)), int(row) + 1)
            card, terminal, merchant, device = (str(column[row]) for column in names)
            taken = Reversal(
                card, terminal, int(at_us[row]), amount_minor, merchant, device, int(offsets_us[row])
            )
            found.append((place, back_us, taken))
    return [(place, one) for place, _, one in sorted(found, key=lambda each: each[:2])]


def _us(times: pd.Series) -> list[int]:
    return [int(value) for value in times.astype("int64")]
