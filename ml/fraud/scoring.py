"""A file of payments scored as they would have been one by one, by the very calls that serve."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.fraud.contracts import Event, Label, Reversal
from ml.fraud.importing import events_of
from ml.fraud.memory import keys_of, keys_of_label
from ml.fraud.predict import FraudPredictor, learn_batch, take_back_batch
from ml.fraud.replay import labels_in, reversals_in

Ints = npt.NDArray[np.integer]
Ask = Callable[[Iterable[str]], dict[str, bytes]]


@dataclass(frozen=True, slots=True)
class Heard:
    """What became known between the rows: of each the number of the row it comes just before, ascending."""

    labels: list[Label]
    label_places: Ints
    reversals: list[Reversal]
    reversal_places: Ints

    def labels_before(self, start: int, stop: int) -> list[Label]:
        first, last = np.searchsorted(self.label_places, [start, stop])
        return self.labels[first:last]

    def reversals_before(self, start: int, stop: int) -> list[Reversal]:
        first, last = np.searchsorted(self.reversal_places, [start, stop])
        return self.reversals[first:last]

    def places(self, start: int, stop: int) -> list[int]:
        """Where rows start..stop are interrupted."""
        every = np.concatenate([self.label_places, self.reversal_places])
        return [int(place) for place in np.unique(every[(every >= start) & (every < stop)])]


def heard_in(frame: pd.DataFrame) -> Heard:
    """Labels when they were known and reversals when they came, of canonical rows in time order."""
    labels, placed = list(labels_in(frame)), reversals_in(frame)
    at_us = frame["occurred_at"].astype("int64").to_numpy()
    known_us = np.array([label.known_at_us for label in labels], np.int64)
    placed.sort(key=lambda one: one[0])
    return Heard(
        labels, np.searchsorted(at_us, known_us), [one for _, one in placed],
        np.array([place for place, _ in placed], np.int64),
    )  # fmt: skip


def score_part(
    predictor: FraudPredictor, frame: pd.DataFrame, heard: Heard, start: int, stop: int, ask: Ask
) -> tuple[list[float], dict[str, bytes]]:
    """The scores of rows start..stop, and the states they leave behind; `ask` gives the states before them.

    Raises StateError for bytes that are no state.
    """
    events = events_of(frame.iloc[start:stop])
    states = ask(_keys(events, heard.labels_before(start, stop), heard.reversals_before(start, stop)))
    scores: list[float] = []
    ends = [*(place for place in heard.places(start, stop) if place > start), stop]
    begin = start
    for end in ends:
        states |= learn_batch(heard.labels_before(begin, begin + 1), states).states
        states |= take_back_batch(heard.reversals_before(begin, begin + 1), states).states
        done = predictor.score_batch(events[begin - start : end - start], states, explain=False)
        scores += [one.score for one in done.scores]
        states |= done.states
        begin = end
    return scores, states


def _keys(events: list[Event], labels: list[Label], reversals: list[Reversal]) -> list[str]:
    paid: list[Event | Reversal] = [*events, *reversals]
    of_paid = [key for one in paid for key in keys_of(one)]
    return [*of_paid, *(key for label in labels for key in keys_of_label(label))]
