"""What is remembered of a card and of a terminal: a few numbers, constant in size however long the history.

Windows are rings of hourly and daily buckets in event time (UTC), newest first: an event that comes late
falls into its own bucket, and counts and sums are integers, so that their order never matters. States travel
as versioned bytes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from ml.fraud.contracts import Vector

VERSION = 3
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
HOURS, DAYS = 24, 31
RECENT = 12  # how many different terminals, merchants and devices of a card are remembered
_RECENT = "I" * (2 * RECENT)
_CARD = struct.Struct(
    f"<BxHq QddQddqd iii {HOURS}I{HOURS}Q{HOURS}I{DAYS}I{DAYS}Q{DAYS}Q{DAYS}I{DAYS}I q dd IB {3 * _RECENT}"
)
_TERMINAL = struct.Struct(f"<Bxxxq Qd iii {HOURS}I{DAYS}I{DAYS}I{DAYS}I{DAYS}I qqqq III Id")


class StateError(ValueError):
    """Bytes that are not a state this version understands."""


def _hours() -> list[int]:
    return [0] * HOURS


def _days() -> list[int]:
    return [0] * DAYS


@dataclass(slots=True)
class CardState:
    """Amounts in minor units; rings newest bucket first, `hour`, `day`, `label_day` saying which that is."""

    last_us: int = 0
    n: int = 0
    mean_log: float = 0.0  # Welford's mean and sum of squares of log1p(major units)
    m2_log: float = 0.0
    max_minor: int = 0
    typical: float = 0.0  # mean and mean square deviation of amounts whose extremes were cut
    spread: float = 0.0
    unusual_us: int = 0  # the last amount far above the typical
    surprise: float = 0.0  # fading sum of how far amounts lay above the typical
    hour: int = 0
    day: int = 0
    label_day: int = 0
    hour_n: list[int] = field(default_factory=_hours)
    hour_sum: list[int] = field(default_factory=_hours)
    hour_small: list[int] = field(default_factory=_hours)
    day_n: list[int] = field(default_factory=_days)
    day_sum: list[int] = field(default_factory=_days)
    day_max: list[int] = field(default_factory=_days)
    day_unusual: list[int] = field(default_factory=_days)
    day_bad: list[int] = field(default_factory=_days)  # by the day of the payment, once known
    bad_us: int = 0
    latitude: float = math.nan
    longitude: float = math.nan
    country: int = 0
    entry_mode: int = 0
    terminals: dict[int, int] = field(default_factory=dict)  # hash to last hour, least recently used first
    merchants: dict[int, int] = field(default_factory=dict)
    devices: dict[int, int] = field(default_factory=dict)
    hidden: Vector | None = None

    def to_bytes(self) -> bytes:
        hidden = np.zeros(0, np.float32) if self.hidden is None else self.hidden
        head = _CARD.pack(
            VERSION, len(hidden), self.last_us, self.n, self.mean_log, self.m2_log, self.max_minor,
            self.typical, self.spread, self.unusual_us, self.surprise, self.hour, self.day, self.label_day,
            *self.hour_n, *self.hour_sum, *self.hour_small, *self.day_n, *self.day_sum, *self.day_max,
            *self.day_unusual, *self.day_bad, self.bad_us, self.latitude, self.longitude, self.country,
            self.entry_mode, *_packed(self.terminals), *_packed(self.merchants), *_packed(self.devices),
        )  # fmt: skip
        return head + hidden.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> CardState:
        """Raises StateError for a wrong version or length. An earlier version's state begins anew."""
        if _is_earlier(raw):
            return cls()
        if len(raw) < _CARD.size or raw[0] != VERSION:
            raise StateError("not a card state of this version")
        v = _CARD.unpack_from(raw)
        if len(raw) != _CARD.size + 4 * v[1]:
            raise StateError("a card state of the wrong length")
        hidden = np.frombuffer(raw, "<f4", offset=_CARD.size).astype(np.float32) if v[1] else None
        rings, at = _rings(v, 14, (HOURS, HOURS, HOURS, DAYS, DAYS, DAYS, DAYS, DAYS))
        used = [_unpacked(v[at + 5 + i * 2 * RECENT :][: 2 * RECENT]) for i in range(3)]
        state = cls(*v[2:14], *rings, *v[at : at + 5], *used)
        state.hidden = hidden
        return state


@dataclass(slots=True)
class TerminalState:
    """A run is the known frauds since the last payment known to be good."""

    last_us: int = 0
    n: int = 0
    mean_log: float = 0.0
    hour: int = 0
    day: int = 0
    label_day: int = 0
    hour_n: list[int] = field(default_factory=_hours)
    day_n: list[int] = field(default_factory=_days)
    day_bad: list[int] = field(default_factory=_days)
    day_plain: list[int] = field(default_factory=_days)  # known frauds of an amount usual for the card
    day_good: list[int] = field(default_factory=_days)
    bad_us: int = 0
    good_us: int = 0
    run_us: int = 0  # the run's first payment
    before_run_us: int = 0  # the last known good payment before it
    bad: int = 0
    run: int = 0
    good_since: int = 0
    run_lone: int = 0  # of the run, those that nothing about their card explains
    run_least: float = 0.0  # the smallest of the run against its card's usual, log of the ratio

    def to_bytes(self) -> bytes:
        return _TERMINAL.pack(
            VERSION, self.last_us, self.n, self.mean_log, self.hour, self.day, self.label_day, *self.hour_n,
            *self.day_n, *self.day_bad, *self.day_plain, *self.day_good, self.bad_us, self.good_us,
            self.run_us, self.before_run_us, self.bad, self.run, self.good_since, self.run_lone,
            self.run_least,
        )  # fmt: skip

    @classmethod
    def from_bytes(cls, raw: bytes) -> TerminalState:
        """Raises StateError for a wrong version or length. An earlier version's state begins anew."""
        if _is_earlier(raw):
            return cls()
        if len(raw) != _TERMINAL.size or raw[0] != VERSION:
            raise StateError("not a terminal state of this version")
        v = _TERMINAL.unpack(raw)
        rings, at = _rings(v, 7, (HOURS, DAYS, DAYS, DAYS, DAYS))
        return cls(*v[1:7], *rings, *v[at:])


def _is_earlier(raw: bytes) -> bool:
    return bool(raw) and 0 < raw[0] < VERSION


def _packed(used: dict[int, int]) -> list[int]:
    flat = [number for pair in used.items() for number in pair]
    return flat + [0] * (2 * RECENT - len(flat))


def _unpacked(flat: tuple[int, ...]) -> dict[int, int]:
    return {key: hour for key, hour in zip(flat[::2], flat[1::2], strict=True) if key}


def _rings(values: tuple[int, ...], at: int, sizes: tuple[int, ...]) -> tuple[list[list[int]], int]:
    """The lists of these sizes that begin at `at`, and where they end."""
    rings = []
    for size in sizes:
        rings.append(list(values[at : at + size]))
        at += size
    return rings, at


def window(ring: list[int], newest: int, until: int, size: int) -> list[int]:
    """The buckets (until - size, until] of a ring whose first bucket is `newest`."""
    first = newest - until
    return ring[max(first, 0) : max(first + size, 0)]


def shift(ring: list[int], steps: int) -> None:
    """Make room for `steps` newer buckets."""
    if steps >= len(ring):
        ring[:] = [0] * len(ring)
    elif steps > 0:
        del ring[-steps:]
        ring[:0] = [0] * steps
