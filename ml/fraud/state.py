"""What is remembered of a card and of a terminal: a few numbers, bounded however long the history.

Of merchants and devices only `Windows` are. States travel as versioned bytes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from ml.fraud.contracts import Vector
from ml.fraud.windows import (
    DAYS,
    HOURS,
    VERSION,
    StateError,
    Windows,
    is_earlier,
    rings,
)

RECENT = 12  # how many different terminals, merchants, devices and countries of a card are kept
_RECENT = "I" * (2 * RECENT)
_CARD = struct.Struct(f"<BxHq QddQddqd i {HOURS}I{DAYS}I{DAYS}I q dd IB {4 * _RECENT}")
_TERMINAL = struct.Struct(f"<Bxxxq Qd i {DAYS}I{DAYS}I{DAYS}I qqqq III Id")


def _hours() -> list[int]:
    return [0] * HOURS


def _days() -> list[int]:
    return [0] * DAYS


@dataclass(slots=True)
class CardState:
    """Amounts in minor units; rings newest bucket first, `label_day` and those of `windows` saying which."""

    last_us: int = 0
    n: int = 0
    mean_log: float = 0.0  # Welford's mean and sum of squares of log1p(major units)
    m2_log: float = 0.0
    max_minor: int = 0
    typical: float = 0.0  # mean and mean square deviation of amounts whose extremes were cut
    spread: float = 0.0
    unusual_us: int = 0  # the last amount far above the typical
    surprise: float = 0.0  # fading sum of how far amounts lay above the typical
    label_day: int = 0
    hour_small: list[int] = field(default_factory=_hours)  # in step with the windows' hours
    day_unusual: list[int] = field(default_factory=_days)  # in step with their days
    day_bad: list[int] = field(default_factory=_days)  # by the day of the payment, once known
    bad_us: int = 0
    latitude: float = math.nan
    longitude: float = math.nan
    country: int = 0
    entry_mode: int = 0
    terminals: dict[int, int] = field(default_factory=dict)  # hash to last hour, least recently used first
    merchants: dict[int, int] = field(default_factory=dict)
    devices: dict[int, int] = field(default_factory=dict)
    countries: dict[int, int] = field(default_factory=dict)
    windows: Windows = field(default_factory=Windows)  # whose counterparts are terminals
    hidden: Vector | None = None

    def to_bytes(self) -> bytes:
        hidden = np.zeros(0, np.float32) if self.hidden is None else self.hidden
        head = _CARD.pack(
            VERSION, len(hidden), self.last_us, self.n, self.mean_log, self.m2_log, self.max_minor,
            self.typical, self.spread, self.unusual_us, self.surprise, self.label_day, *self.hour_small,
            *self.day_unusual, *self.day_bad, self.bad_us, self.latitude, self.longitude, self.country,
            self.entry_mode, *_packed(self.terminals), *_packed(self.merchants), *_packed(self.devices),
            *_packed(self.countries),
        )  # fmt: skip
        return head + hidden.astype("<f4").tobytes() + self.windows.to_bytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> CardState:
        """Raises StateError for a wrong version or length. An earlier version's state begins anew."""
        if is_earlier(raw):
            return cls()
        if len(raw) < _CARD.size or raw[0] != VERSION:
            raise StateError("not a card state of this version")
        v = _CARD.unpack_from(raw)
        end = _CARD.size + 4 * v[1]
        if len(raw) < end:
            raise StateError("a card state of the wrong length")
        of_card, at = rings(v, 12, (HOURS, DAYS, DAYS)), 12 + HOURS + 2 * DAYS
        used = [_unpacked(v[at + 5 + i * 2 * RECENT :][: 2 * RECENT]) for i in range(4)]
        hidden = np.frombuffer(raw[_CARD.size : end], "<f4").astype(np.float32) if v[1] else None
        windows = Windows.from_bytes(raw[end:])
        given = [*v[2:12], *of_card, *v[at : at + 5], *used, windows, hidden]
        return cls(*given)


@dataclass(slots=True)
class TerminalState:
    """A run is the known frauds since the last payment known to be good."""

    last_us: int = 0
    n: int = 0
    mean_log: float = 0.0
    label_day: int = 0
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
    windows: Windows = field(default_factory=Windows)  # whose counterparts are cards

    def to_bytes(self) -> bytes:
        head = _TERMINAL.pack(
            VERSION, self.last_us, self.n, self.mean_log, self.label_day, *self.day_bad, *self.day_plain,
            *self.day_good, self.bad_us, self.good_us, self.run_us, self.before_run_us, self.bad, self.run,
            self.good_since, self.run_lone, self.run_least,
        )  # fmt: skip
        return head + self.windows.to_bytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> TerminalState:
        """Raises StateError for a wrong version or length. An earlier version's state begins anew."""
        if is_earlier(raw):
            return cls()
        if len(raw) < _TERMINAL.size or raw[0] != VERSION:
            raise StateError("not a terminal state of this version")
        v = _TERMINAL.unpack_from(raw)
        known = rings(v, 5, (DAYS, DAYS, DAYS))
        given = [*v[1:5], *known, *v[5 + 3 * DAYS :], Windows.from_bytes(raw[_TERMINAL.size :])]
        return cls(*given)


@dataclass(slots=True)
class Known:
    """All that is remembered about one event; None of a merchant or device that was not named."""

    card: CardState
    terminal: TerminalState
    merchant: Windows | None = None
    device: Windows | None = None


def _packed(used: dict[int, int]) -> list[int]:
    flat = [number for pair in used.items() for number in pair]
    return flat + [0] * (2 * RECENT - len(flat))


def _unpacked(flat: tuple[int, ...]) -> dict[int, int]:
    return {key: hour for key, hour in zip(flat[::2], flat[1::2], strict=True) if key}
