"""What was decided here joined with an earlier dataset, so that new labels add to what was known before."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ml.fraud.importing import COLUMNS, NEUTRAL, load_frozen, periods_of
from ml.fraud.splits import Period


def joined(frame: pd.DataFrame, base: Path) -> pd.DataFrame:
    """Canonical rows of both in time order; of a payment that is in both the one of `frame`, whose label is
    the newer. Raises ValueError where the dataset changed since it was frozen."""
    before, _ = load_frozen(base)
    before = before.reindex(columns=list(COLUMNS))
    before = before.fillna({name: value for name, value in NEUTRAL.items() if value not in (None, "")})
    here = pd.MultiIndex.from_frame(frame[["event_id", "card_token"]])
    fresh = ~pd.MultiIndex.from_frame(before[["event_id", "card_token"]]).isin(here)
    both = pd.concat([before[fresh].astype(frame.dtypes.to_dict()), frame], ignore_index=True)
    return both.sort_values("occurred_at", kind="stable").reset_index(drop=True)


def held_by(base: Path) -> list[Period]:
    """When it tests and gates."""
    return [one for one in periods_of(base) if one.part in ("test", "gate")]
