"""How far what is scored now lies from what a version was judged on: the population stability index.

Bins are fixed when a version is trained, on its validation days, and travel in its artefact. How large an
index is without any drift is not a rule of thumb but drawn: days of validation against the others.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.common.artefact import npz_bytes
from ml.fraud.windows import DAY_US

QUANTILES = np.linspace(0.1, 0.9, 9)
ATOM = 0.05  # a value this many rows share is a bin by itself
EDGES = 2 * len(QUANTILES)
BINS = EDGES + 2  # between and beyond the edges, and the last one for what is missing
LEAST_SHARE = 1e-4  # an empty bin would make the index infinite
ROUNDS = 200
LEVEL = 0.99
SCORE = "score"
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the validation days looked like, by feature and the score last.

    names (f,); edges float32 (f, EDGES), rising, filled up with infinity; counts int64 (d, f, BINS) of each
    day.
    """

    names: tuple[str, ...]
    edges: npt.NDArray[np.float32]
    counts: Counts

    @classmethod
    def of(cls, names: Sequence[str], values: Floats, at_us: npt.NDArray[np.integer]) -> Reference:
        """From values (n, f), NaN where missing, of payments in time order. What is left over after the
        last whole day is not looked at, where there is a whole one."""
        day = (at_us - at_us[0]) // DAY_US
        whole = day < max(1, int(day[-1]))
        values, day = values[whole].astype(np.float32), day[whole]
        edges = np.stack([_edges(column) for column in values.T])
        days = [_binned(edges, values[day == one]) for one in np.unique(day)]
        return cls(tuple(names), edges, np.stack(days))

    def count(self, values: Floats) -> Counts:
        """(f, BINS) of values (n, f)."""
        return _binned(self.edges, values.astype(np.float32))

    def to_bytes(self) -> bytes:
        """The content of drift.npz."""
        return npz_bytes(names=np.array(self.names), edges=self.edges, counts=self.counts.astype(np.int32))

    @classmethod
    def from_bytes(cls, content: bytes) -> Reference:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(tuple(map(str, arrays["names"])), arrays["edges"], arrays["counts"].astype(np.int64))


def psi(reference: Counts, now: Counts) -> Floats:
    """Over the last axis: the sum of (p - q) ln(p / q) of the bins' shares p now and q in the reference."""
    p, q = _shares(now), _shares(reference)
    index: Floats = np.sum((p - q) * np.log(p / q), axis=-1)
    return index


def threshold(reference: Reference, n: int, seed: int = 0) -> Floats:
    """(f,) what the index of `n` payments stays below LEVEL of the time while nothing has changed.

    Each round draws a validation day, and from it as many payments, and compares them with the other days:
    what days differ by among themselves is no drift, and neither is what few payments differ by.
    """
    rng = np.random.default_rng(seed)
    days, total = reference.counts, reference.counts.sum(0)
    drawn = np.empty((ROUNDS, len(reference.names)))
    for number, day in enumerate(rng.integers(len(days), size=ROUNDS)):
        others = total - days[day] if len(days) > 1 else total
        sizes = days[day].sum(-1, keepdims=True)
        drawn[number] = psi(others, rng.multinomial(n, days[day] / np.maximum(sizes, 1)))
    limits: Floats = np.quantile(drawn, LEVEL, axis=0)
    return limits


def _edges(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Deciles, and one edge more just below each that many rows share: a move below it is then seen too."""
    known = column[~np.isnan(column)]
    edges = np.full(EDGES, np.inf, np.float32)
    if len(known):
        at = np.unique(np.quantile(known, QUANTILES, method="inverted_cdf"))
        atoms = at[[np.mean(known == one) >= ATOM for one in at]]
        found = np.unique(np.concatenate([at, np.nextafter(atoms, np.float32(-np.inf))]))
        edges[: len(found)] = found
    return edges


def _binned(edges: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> Counts:
    counts = np.zeros((len(edges), BINS), np.int64)
    for row, (limits, column) in enumerate(zip(edges, values.T, strict=True)):
        missing = np.isnan(column)
        at = np.searchsorted(limits, column[~missing], side="left")
        counts[row, :-1] = np.bincount(at, minlength=BINS - 1)
        counts[row, -1] = missing.sum()
    return counts


def _shares(counts: Counts) -> Floats:
    shares: Floats = counts / np.maximum(counts.sum(-1, keepdims=True), 1)
    return np.maximum(shares, LEAST_SHARE)
