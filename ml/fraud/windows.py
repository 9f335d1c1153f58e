"""What happened at a card, a terminal, a merchant or a device lately: by the hour and by the business day.

Buckets in event time: an event that comes late falls into the bucket of its own time. Counts and sums are
integers and what was seen is a set of bits, so that the order of events never matters. Hours are counted in
UTC, days by the business clock: a day of 23 or 25 hours is one bucket like any other.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import or_

from ml.fraud.contracts import Event, Label, Reversal

VERSION = 4  # of all states
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
HOURS, DAYS = 24, 31  # kept
SPANS = ("1h", "24h", "7d", "30d")
NEVER = -(2**62)  # no bucket
SEEN_BITS = 64
Figures = tuple[float, ...]
Eight = tuple[int, int, int, int, int, int, int, int]


class StateError(ValueError):
    """Bytes that are not a state this version understands."""


def _distinct(bits_set: int) -> float:
    """How many different ones leave so many of 64 bits set: linear counting (Whang et al., 1990)."""
    return -SEEN_BITS * math.log(1 - min(bits_set, SEEN_BITS - 0.5) / SEEN_BITS)


DISTINCT = tuple(round(_distinct(bits), 1) for bits in range(SEEN_BITS + 1))
_EMPTY: Eight = (0, 0, 0, 0, 0, 0, 0, 0)
NONE: Figures = (0.0,) * (4 * len(SPANS))


def hour_of(one: Event | Label | Reversal) -> int:
    return one.occurred_at_us // HOUR_US


def day_of(one: Event | Label | Reversal) -> int:
    return (one.occurred_at_us + one.utc_offset_us) // DAY_US


@dataclass(slots=True)
class Buckets:
    """The hours or days that had any event, oldest first: number of each, its count, sum, largest, and bits
    of whom its events came from."""

    at: list[int] = field(default_factory=list)
    n: list[int] = field(default_factory=list)
    total: list[int] = field(default_factory=list)
    largest: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    # What `over` found before the newest bucket, and for which: most events come on a day that had one.
    before: Eight = field(default=_EMPTY, compare=False)
    before_of: int = field(default=NEVER, compare=False)

    @property
    def newest(self) -> int:
        return self.at[-1] if self.at else 0

    def add(self, bucket: int, amount: int, bit: int, kept: int) -> None:
        """Nothing where the bucket is older than the `kept` ones up to the newest."""
        at = self.at
        if not at or bucket > at[-1]:
            at.append(bucket)
            self.n.append(1)
            self.total.append(amount)
            self.largest.append(amount)
            self.seen.append(bit)
            if at[0] <= bucket - kept:
                gone = bisect_right(at, bucket - kept)
                for column in (at, self.n, self.total, self.largest, self.seen):
                    del column[:gone]
            return
        if at[-1] == bucket:
            place = len(at) - 1
        else:
            place, self.before_of = bisect_left(at, bucket), NEVER
        if at[place] == bucket:
            self.n[place] += 1
            self.total[place] += amount
            self.seen[place] |= bit
            if amount > self.largest[place]:
                self.largest[place] = amount
        elif bucket > at[-1] - kept:
            self._insert(place, bucket, amount, bit)

    def _insert(self, place: int, bucket: int, amount: int, bit: int) -> None:
        self.at.insert(place, bucket)
        self.n.insert(place, 1)
        self.total.insert(place, amount)
        self.largest.insert(place, amount)
        self.seen.insert(place, bit)

    def take_off(self, bucket: int, amount: int) -> None:
        place, self.before_of = bisect_left(self.at, bucket), NEVER
        if place < len(self.at) and self.at[place] == bucket:
            self.total[place] = max(0, self.total[place] - amount)  # a state may have begun anew since

    def over(self, until: int, short: int, long: int) -> Eight | None:
        """Count, sum, largest, bits seen, of the `short` buckets up to `until`, then of the `long` ones."""
        at = self.at
        if not at or at[-1] <= until - long:
            return None
        if at[-1] != until:
            return self._over(until, short, long, len(at) if at[-1] < until else bisect_right(at, until))
        if self.before_of != until:
            self.before, self.before_of = self._over(until, short, long, len(at) - 1) or _EMPTY, until
        n_s, sum_s, max_s, seen_s, n_l, sum_l, max_l, seen_l = self.before
        n, total, largest, seen = self.n[-1], self.total[-1], self.largest[-1], self.seen[-1]
        return (
            n_s + n, sum_s + total, max_s if max_s > largest else largest, seen_s | seen,
            n_l + n, sum_l + total, max_l if max_l > largest else largest, seen_l | seen,
        )  # fmt: skip

    def _over(self, until: int, short: int, long: int, end: int) -> Eight | None:
        """The same of the first `end` buckets."""
        at = self.at
        first = bisect_right(at, until - long, 0, end)
        if first == end:
            return None
        middle = bisect_right(at, until - short, first, end)
        n = total = largest = seen = 0
        if middle != end:
            n, total = sum(self.n[middle:end]), sum(self.total[middle:end])
            largest, seen = max(self.largest[middle:end]), reduce(or_, self.seen[middle:end])
            if first == middle:
                return n, total, largest, seen, n, total, largest, seen
        before = max(self.largest[first:middle])
        return (
            n, total, largest, seen, n + sum(self.n[first:middle]), total + sum(self.total[first:middle]),
            before if before > largest else largest, reduce(or_, self.seen[first:middle], seen),
        )  # fmt: skip


@dataclass(slots=True)
class Windows:
    hours: Buckets = field(default_factory=Buckets)
    days: Buckets = field(default_factory=Buckets)

    def add(self, hour: int, day: int, amount_minor: int, who: int) -> None:
        """`who`: a hash of the counterpart, of which the lowest bits are remembered."""
        bit = 1 << (who & (SEEN_BITS - 1))
        self.hours.add(hour, amount_minor, bit, HOURS)
        self.days.add(day, amount_minor, bit, DAYS)

    def take_off(self, hour: int, day: int, amount_minor: int) -> None:
        """Off the sums alone, where the hour and day are still kept."""
        self.hours.take_off(hour, amount_minor)
        self.days.take_off(day, amount_minor)

    def figures(self, hour: int, day: int) -> Figures:
        """(16,): of the four SPANS up to now counts, sums, largest, different counterparts (about, to 310).

        1h is this hour and the last, 7d and 30d end with this business day.
        """
        days = self.days.over(day, 7, 30)
        if days is None:
            return NONE
        n_7, sum_7, max_7, seen_7, n_30, sum_30, max_30, seen_30 = days
        n_1, sum_1, max_1, seen_1, n_24, sum_24, max_24, seen_24 = self.hours.over(hour, 2, HOURS) or (0,) * 8
        return (
            n_1, n_24, n_7, n_30, sum_1, sum_24, sum_7, sum_30, max_1, max_24, max_7, max_30,
            DISTINCT[seen_1.bit_count()], DISTINCT[seen_24.bit_count()],
            DISTINCT[seen_7.bit_count()], DISTINCT[seen_30.bit_count()],
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        hours, days = self.hours, self.days
        h, d = len(hours.at), len(days.at)
        return _wire(h, d).pack(
            VERSION, h, d, *hours.at, *days.at, *hours.n, *days.n, *hours.total, *hours.largest,
            *hours.seen, *days.total, *days.largest, *days.seen,
        )  # fmt: skip

    @classmethod
    def from_bytes(cls, raw: bytes) -> Windows:
        """Raises StateError for a wrong version or length. An earlier version's state begins anew."""
        if is_earlier(raw):
            return cls()
        if len(raw) < 3 or raw[0] != VERSION:
            raise StateError("not a state of this version")
        h, d = raw[1], raw[2]
        wire = _wire(h, d)
        if len(raw) != wire.size:
            raise StateError("a state of the wrong length")
        v = wire.unpack(raw)
        found = rings(v, 3, (h, d, h, d, h, h, h, d, d, d))
        at_h, at_d, n_h, n_d, sum_h, max_h, seen_h, sum_d, max_d, seen_d = found
        return cls(Buckets(at_h, n_h, sum_h, max_h, seen_h), Buckets(at_d, n_d, sum_d, max_d, seen_d))


@cache
def _wire(h: int, d: int) -> struct.Struct:
    return struct.Struct(f"<BBBx{h + d}i{h + d}I{3 * (h + d)}Q")


def is_earlier(raw: bytes) -> bool:
    return bool(raw) and 0 < raw[0] < VERSION


def rings(values: tuple[int, ...], at: int, sizes: tuple[int, ...]) -> list[list[int]]:
    """The lists of these sizes that begin at `at`."""
    found = []
    for size in sizes:
        found.append(list(values[at : at + size]))
        at += size
    return found


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
