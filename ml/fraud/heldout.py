"""The validation days as a compact table kept in the artefact: what thresholds would have done on them."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.artefact import npz_bytes
from ml.fraud.windows import DAY_US

UNKNOWN = -1
ROWS_MAX = 100_000
KNOWN_SHARE = 0.5  # of a day's payments
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Payments of the validation days, the highest score first; beyond ROWS_MAX they are only counted.

    Of each: calibrated score float32 (k,), label int8 (k,) with -1 for what is not known, amount int64 (k,)
    in minor units of the reporting currency, number of its day int16 (k,), weight float32 (k,) of its label.
    Of each day, over all its payments: how many, and what is known of fraud, as number and in minor units,
    float64 (d,). Days are 24 hours each and begin at `start_us`, epoch µs UTC.
    """

    scores: Floats
    labels: Ints
    amounts: Ints
    days: Ints
    weights: Floats
    payments_of_day: Floats
    frauds_of_day: Floats
    fraud_minor_of_day: Floats
    start_us: Ints

    @property
    def n_days(self) -> int:
        return len(self.payments_of_day)

    def to_bytes(self) -> bytes:
        """The content of heldout.npz."""
        return npz_bytes(**{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_bytes(cls, content: bytes) -> HeldOut:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def held_out(frame: pd.DataFrame, scores: Floats, known: npt.NDArray[np.bool_], weights: Floats) -> HeldOut:
    """The table of the validation rows. `known` (n,): whose label may be looked at, the others are unknown.

    What would make a day look quieter than it was is left out: what is left over after the last whole day,
    and the last days if labels of most of their payments came too late to be known.
    """
    at = frame["occurred_at"].astype("int64").to_numpy()
    day = (at - at[0]) // DAY_US
    told = np.bincount(day, known) >= KNOWN_SHARE * np.bincount(day)
    last_told = int(np.flatnonzero(told)[-1]) if told.any() else int(day[-1])
    whole = day < max(1, min(int(day[-1]), last_told + 1))
    frame, scores, known, day = frame[whole], scores[whole], known[whole], day[whole]
    labels = np.where(known, frame["fraud"].fillna(0).to_numpy(np.int8), UNKNOWN).astype(np.int8)
    amounts = frame["amount_minor"].to_numpy(np.int64)
    weighed = np.where(labels == 1, weights[whole], 0.0).astype(np.float64)
    order = np.argsort(-scores, kind="stable")[:ROWS_MAX]

    def by_day(values: Floats | None) -> Floats:
        return np.bincount(day, values, minlength=int(day[-1]) + 1).astype(np.float64)

    return HeldOut(
        scores=scores[order].astype(np.float32),
        labels=labels[order],
        amounts=amounts[order],
        days=day[order].astype(np.int16),
        weights=weights[whole][order].astype(np.float32),
        payments_of_day=by_day(None),
        frauds_of_day=by_day(weighed),
        fraud_minor_of_day=by_day(weighed * amounts),
        start_us=at[:1].astype(np.int64),
    )
