"""The business clock: how far a time zone is ahead of UTC at a moment, daylight saving included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

QUARTER_US = 900_000_000  # no zone changes its clock within a quarter of an hour
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_offset_us(at_us: int, time_zone: str) -> int:
    """Of one moment, epoch µs. Raises ZoneInfoNotFoundError."""
    return _of_quarter(at_us // QUARTER_US, time_zone)


@lru_cache(maxsize=65_536)
def _of_quarter(quarter: int, time_zone: str) -> int:
    at = (_EPOCH + timedelta(microseconds=quarter * QUARTER_US)).astimezone(ZoneInfo(time_zone))
    offset = at.utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


def utc_offsets_s(at: pd.Series, time_zone: str) -> npt.NDArray[np.int32]:
    """The same for times (n,) of a frame, in seconds."""
    local = at.dt.tz_convert(time_zone).dt.tz_localize(None)
    ahead = local - at.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(ahead // pd.Timedelta(seconds=1), np.int32)


def with_offsets(frame: pd.DataFrame, time_zone: str) -> pd.DataFrame:
    """The events with `utc_offset_s` of this zone in place of any other's."""
    return frame.assign(utc_offset_s=utc_offsets_s(frame["occurred_at"], time_zone))
