"""The recurrent network: trained in torch over whole card histories, served one step at a time in NumPy.

It takes a second look: given an event and what the trees say of it, with its memory of the card's earlier
events and of what the trees said of them, it tells by how much the trees' log-odds should be moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import Vector

Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
WEIGHTS = ("mean", "scale", "w_ih", "w_hh", "b_ih", "b_hh", "w_mid", "b_mid", "w_out", "b_out")
MARGIN_LIMIT = 8.0  # log-odds; beyond, the trees are sure


@dataclass(frozen=True, slots=True)
class Gru:
    """One layer with torch's gate order (reset, update, new), and a small layer over its state and input.

    Its input is the features at `columns` (i - 1,) and the trees' margin, standardised with mean, scale (i,).
    w_ih (3h, i); w_hh (3h, h); b_ih, b_hh (3h,); w_mid (m, h + i); b_mid, w_out (m,); b_out (1,): float32.
    """

    columns: Rows
    mean: Vector
    scale: Vector
    w_ih: Matrix
    w_hh: Matrix
    b_ih: Vector
    b_hh: Vector
    w_mid: Matrix
    b_mid: Vector
    w_out: Vector
    b_out: Vector

    @property
    def hidden_size(self) -> int:
        return len(self.b_hh) // 3

    def step(self, features: Vector, margin: float, hidden: Vector | None) -> tuple[float, Vector]:
        """(correction in log-odds, next hidden (h,)) of one event. A card never seen starts from zeros."""
        h = self.hidden_size
        before = hidden if hidden is not None and len(hidden) == h else np.zeros(h, np.float32)
        x = np.empty(len(self.mean), np.float32)
        x[:-1], x[-1] = features[self.columns], max(-MARGIN_LIMIT, min(MARGIN_LIMIT, margin))
        x = (x - self.mean) * self.scale
        from_input, from_hidden = self.w_ih @ x + self.b_ih, self.w_hh @ before + self.b_hh
        # Clipped: beyond 60 the gate is 0 or 1 in float32 anyway, and exp would overflow.
        gates = 1 / (1 + np.exp(-np.clip(from_input[: 2 * h] + from_hidden[: 2 * h], -60, 60)))
        new = np.tanh(from_input[2 * h :] + gates[:h] * from_hidden[2 * h :])
        after = ((1 - gates[h:]) * new + gates[h:] * before).astype(np.float32)
        middle = np.tanh(self.w_mid @ np.concatenate([after, x]) + self.b_mid)
        return float(self.w_out @ middle + self.b_out[0]), after

    def run(
        self, features: Matrix, margins: Vector, rows_of_cards: list[Rows]
    ) -> Iterator[tuple[Rows, Vector]]:
        """(rows, their corrections), many cards at once: to rounding what `step` gives; for offline use."""
        h = self.hidden_size
        cards = sorted(rows_of_cards, key=len, reverse=True)
        lengths = np.array([len(rows) for rows in cards])
        hidden = np.zeros((len(cards), h), np.float32)
        for at in range(lengths[0] if len(cards) else 0):
            there = int((lengths > at).sum())
            rows = np.array([history[at] for history in cards[:there]])
            before = hidden[:there]
            x = (inputs(features[rows], margins[rows], self.columns) - self.mean) * self.scale
            from_input, from_hidden = x @ self.w_ih.T + self.b_ih, before @ self.w_hh.T + self.b_hh
            gates = 1 / (1 + np.exp(-np.clip(from_input[:, : 2 * h] + from_hidden[:, : 2 * h], -60, 60)))
            new = np.tanh(from_input[:, 2 * h :] + gates[:, :h] * from_hidden[:, 2 * h :])
            hidden[:there] = (1 - gates[:, h:]) * new + gates[:, h:] * before
            middle = np.tanh(np.column_stack([hidden[:there], x]) @ self.w_mid.T + self.b_mid)
            yield rows, middle @ self.w_out + self.b_out[0]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Gru:
        """Raises KeyError for missing weights."""
        weights = {name: np.ascontiguousarray(arrays[name], np.float32) for name in WEIGHTS}
        return cls(columns=arrays["columns"].astype(np.intp), **weights)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        return {"columns": self.columns.astype(np.int32), **{name: getattr(self, name) for name in WEIGHTS}}


def side_by_side(members: Sequence[Gru]) -> Gru:
    """One network that adds the mean of what its members would; all must see the same inputs.

    Their units stand in blocks that do not touch, so that it is served, and its state kept, as any other.
    """
    first, h = members[0], members[0].hidden_size
    of_hidden = [_diagonal([np.split(one.w_hh, 3)[gate] for one in members]) for gate in range(3)]
    middle = _diagonal([one.w_mid[:, :h] for one in members])
    return Gru(
        columns=first.columns,
        mean=first.mean,
        scale=first.scale,
        w_ih=_by_gate([one.w_ih for one in members]),
        w_hh=np.concatenate(of_hidden),
        b_ih=_by_gate([one.b_ih for one in members]),
        b_hh=_by_gate([one.b_hh for one in members]),
        w_mid=np.column_stack([middle, np.concatenate([one.w_mid[:, h:] for one in members])]),
        b_mid=np.concatenate([one.b_mid for one in members]),
        w_out=(np.concatenate([one.w_out for one in members]) / len(members)).astype(np.float32),
        b_out=np.mean([one.b_out for one in members], 0, dtype=np.float32),
    )


def _by_gate(parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Rows (3h, ...) of each member, in torch's order of gates for all of them together."""
    gates = [np.split(part, 3) for part in parts]
    return np.concatenate([of[gate] for gate in range(3) for of in gates])


def _diagonal(blocks: Sequence[Matrix]) -> Matrix:
    out = np.zeros((sum(len(b) for b in blocks), sum(b.shape[1] for b in blocks)), np.float32)
    row = column = 0
    for block in blocks:
        out[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return out


def inputs(features: Matrix, margins: Vector, columns: Rows) -> Matrix:
    """(n, i) before it is standardised."""
    limited = np.clip(margins, -MARGIN_LIMIT, MARGIN_LIMIT)
    return np.column_stack([features[:, columns], limited]).astype(np.float32)
