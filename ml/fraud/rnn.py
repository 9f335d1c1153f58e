"""The recurrent network: trained in torch over whole card histories, served one step at a time in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import Vector
from ml.fraud.features import SEQUENCE

Matrix = npt.NDArray[np.float32]
WEIGHTS = ("mean", "scale", "w_ih", "w_hh", "b_ih", "b_hh", "w_out", "b_out")


@dataclass(frozen=True, slots=True)
class Gru:
    """One layer with torch's gate order (reset, update, new), and a logit read from its hidden state.

    mean, scale (i,); w_ih (3h, i); w_hh (3h, h); b_ih, b_hh (3h,); w_out (h,); b_out (1,): float32.
    """

    mean: Vector
    scale: Vector
    w_ih: Matrix
    w_hh: Matrix
    b_ih: Vector
    b_hh: Vector
    w_out: Vector
    b_out: Vector

    @property
    def hidden_size(self) -> int:
        return len(self.w_out)

    def step(self, features: Vector, hidden: Vector | None) -> tuple[float, Vector]:
        """(logit, next hidden (h,)) after one event. A card never seen starts from zeros."""
        h = self.hidden_size
        before = hidden if hidden is not None and len(hidden) == h else np.zeros(h, np.float32)
        x = (features[list(SEQUENCE)] - self.mean) * self.scale
        from_input, from_hidden = self.w_ih @ x + self.b_ih, self.w_hh @ before + self.b_hh
        # Clipped: beyond 60 the gate is 0 or 1 in float32 anyway, and exp would overflow.
        gates = 1 / (1 + np.exp(-np.clip(from_input[: 2 * h] + from_hidden[: 2 * h], -60, 60)))
        new = np.tanh(from_input[2 * h :] + gates[:h] * from_hidden[2 * h :])
        after = ((1 - gates[h:]) * new + gates[h:] * before).astype(np.float32)
        return float(self.w_out @ after + self.b_out[0]), after

    def run(
        self, features: Matrix, rows_of_cards: list[npt.NDArray[np.intp]]
    ) -> Iterator[tuple[npt.NDArray[np.intp], Vector]]:
        """(rows, their logits), many cards at once: to rounding what `step` gives, for offline use only."""
        h = self.hidden_size
        cards = sorted(rows_of_cards, key=len, reverse=True)
        lengths = np.array([len(rows) for rows in cards])
        hidden = np.zeros((len(cards), h), np.float32)
        for at in range(lengths[0] if len(cards) else 0):
            there = int((lengths > at).sum())
            rows = np.array([history[at] for history in cards[:there]])
            before = hidden[:there]
            x = (features[rows][:, SEQUENCE] - self.mean) * self.scale
            from_input, from_hidden = x @ self.w_ih.T + self.b_ih, before @ self.w_hh.T + self.b_hh
            gates = 1 / (1 + np.exp(-np.clip(from_input[:, : 2 * h] + from_hidden[:, : 2 * h], -60, 60)))
            new = np.tanh(from_input[:, 2 * h :] + gates[:, :h] * from_hidden[:, 2 * h :])
            hidden[:there] = (1 - gates[:, h:]) * new + gates[:, h:] * before
            yield rows, hidden[:there] @ self.w_out + self.b_out[0]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Matrix]) -> Gru:
        """Raises KeyError for missing weights."""
        return cls(**{name: np.ascontiguousarray(arrays[name], np.float32) for name in WEIGHTS})

    def arrays(self) -> dict[str, Matrix]:
        return {name: getattr(self, name) for name in WEIGHTS}
