"""Of which payments a measure is: by channel, entry mode and amount."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Bools = npt.NDArray[np.bool_]
MIN_PAYMENTS = 100
MIN_FRAUDS = 5
VALUES_MAX = 8  # of a column
BANDS_MINOR = ((0, 2_000), (2_000, 10_000), (10_000, 50_000), (50_000, None))


def subgroups_of(frame: pd.DataFrame) -> dict[str, Bools]:
    """Which labelled payments belong to each subgroup that has enough of them, and of frauds, to be measured;
    one that holds all of them is none."""
    found: dict[str, Bools] = {}
    for column, title in (("channel", "channel"), ("entry_mode", "entry mode")):
        values = frame[column].astype(str) if column in frame else pd.Series("", frame.index)
        for value in values[~values.isin(["", "unknown"])].value_counts().index[:VALUES_MAX]:
            found[f"{title} {str(value).replace('_', ' ')}"] = (values == value).to_numpy(bool)
    amounts = frame["amount_minor"].to_numpy(np.int64)
    for low, high in BANDS_MINOR:
        within = (amounts >= low) & (amounts < (np.iinfo(np.int64).max if high is None else high))
        found[_band(low, high)] = within
    fraud = (frame["fraud"] == 1).fillna(False).to_numpy(bool)
    return {
        name: rows
        for name, rows in sorted(found.items())
        if MIN_PAYMENTS <= rows.sum() < len(rows) and (rows & fraud).sum() >= MIN_FRAUDS
    }


def _band(low: int, high: int | None) -> str:
    """In units of the reporting currency's hundred."""
    if high is None:
        return f"amount from {low // 100}"
    return f"amount {low // 100} to {high // 100}"
