"""What is remembered of a card and of a terminal: a few numbers, constant in size however long the history.

Windows are exponentially decayed counters in event time: after one time constant without an event a
counter has fallen to 1/e. They need no list of past events. States travel as versioned bytes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from ml.fraud.contracts import Vector

VERSION = 1
HOUR_US = 3_600_000_000
TAUS_US = (HOUR_US, 24 * HOUR_US, 7 * 24 * HOUR_US)
RECENT = 8  # how many different terminals, merchants and devices of a card are remembered
_CARD = struct.Struct("<BxHq4d3d3d1d2dIB" + "I" * (3 * RECENT))
_TERMINAL = struct.Struct("<Bxxxq2d3d3d")


class StateError(ValueError):
    """Bytes that are not a state this version understands."""


@dataclass(slots=True)
class CardState:
    last_us: int = 0
    n: float = 0.0
    mean_log: float = 0.0  # Welford's mean and sum of squares of log1p(amount)
    m2_log: float = 0.0
    max_amount: float = 0.0
    counts: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    small_1h: float = 0.0
    latitude: float = math.nan
    longitude: float = math.nan
    country: int = 0
    entry_mode: int = 0
    terminals: list[int] = field(default_factory=lambda: [0] * RECENT)
    merchants: list[int] = field(default_factory=lambda: [0] * RECENT)
    devices: list[int] = field(default_factory=lambda: [0] * RECENT)
    hidden: Vector | None = None

    def to_bytes(self) -> bytes:
        hidden = np.zeros(0, np.float32) if self.hidden is None else self.hidden
        head = _CARD.pack(
            VERSION, len(hidden), self.last_us,
            self.n, self.mean_log, self.m2_log, self.max_amount,
            *self.counts, *self.sums, self.small_1h, self.latitude, self.longitude,
            self.country, self.entry_mode, *self.terminals, *self.merchants, *self.devices,
        )  # fmt: skip
        return head + hidden.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> CardState:
        """Raises StateError for another version or a wrong length."""
        if len(raw) < _CARD.size or raw[0] != VERSION:
            raise StateError("not a card state of this version")
        v = _CARD.unpack_from(raw)
        if len(raw) != _CARD.size + 4 * v[1]:
            raise StateError("a card state of the wrong length")
        hidden = np.frombuffer(raw, "<f4", offset=_CARD.size).astype(np.float32) if v[1] else None
        r = RECENT
        return cls(
            v[2], v[3], v[4], v[5], v[6], list(v[7:10]), list(v[10:13]), v[13], v[14], v[15], v[16], v[17],
            list(v[18 : 18 + r]), list(v[18 + r : 18 + 2 * r]), list(v[18 + 2 * r : 18 + 3 * r]), hidden,
        )  # fmt: skip


@dataclass(slots=True)
class TerminalState:
    last_us: int = 0
    n: float = 0.0
    mean_log: float = 0.0
    counts: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def to_bytes(self) -> bytes:
        return _TERMINAL.pack(VERSION, self.last_us, self.n, self.mean_log, *self.counts, *self.sums)

    @classmethod
    def from_bytes(cls, raw: bytes) -> TerminalState:
        """Raises StateError for another version or a wrong length."""
        if len(raw) != _TERMINAL.size or raw[0] != VERSION:
            raise StateError("not a terminal state of this version")
        v = _TERMINAL.unpack(raw)
        return cls(v[1], v[2], v[3], list(v[4:7]), list(v[7:10]))


def decay(values: list[float], elapsed_us: int) -> list[float]:
    """Each counter after `elapsed_us` without an event; time that runs backwards leaves them alone."""
    if elapsed_us <= 0:
        return list(values)
    return [value * math.exp(-elapsed_us / tau) for value, tau in zip(values, TAUS_US, strict=True)]
