"""Which time teaches, chooses, tests and stands at the gate: in this order, with gaps for labels to be known.

A stretch of time is split once. Its test and gate are recorded, and a later dataset never trains or chooses
on them. It keeps them as its own test and gate until a long enough stretch has come since; then that one has
a test and a gate of its own, and the earlier ones are held out for good. Otherwise data frozen every week
would be a gate first, all of it, and never teach anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

LABEL_DELAY = pd.Timedelta(days=7)
NEW_STRETCH = pd.Timedelta(days=28)  # less holds too little fraud to be tested on
GAP_SHARE_MAX = 0.07
SHARES = {"test": 0.12, "gate": 0.10}  # of the stretch's time; val is as long as test
UNTAUGHT = ("gate", "waiting")  # no trainer reads them
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Period:
    """[begins_us, ends_us), epoch µs UTC; `part` is train, val, test or gate."""

    part: str
    begins_us: int
    ends_us: int

    def holds(self, at_us: npt.NDArray[np.int64]) -> Mask:
        return (at_us >= self.begins_us) & (at_us < self.ends_us)


def plan(at: pd.Series, held: Iterable[Period] = (), until: pd.Timestamp | None = None) -> tuple[Period, ...]:
    """train, val, test and gate for events at these times (in order). `held`: test and gate of earlier
    datasets of the same payments. What came after `until` waits, unless what came before is too little."""
    at_us = _ended(_us(at), until)
    first_us, end_us = int(at_us[0]), int(at_us[-1]) + 1
    met = [one for one in held if one.begins_us < end_us and one.ends_us > first_us]
    since = at_us[at_us >= max((one.ends_us for one in met), default=0)]
    new = _is_stretch(since)
    test, gate = (None if new else _still(met)) or _set_aside(int(since[0] if new else at_us[0]), end_us)
    gap = gate.begins_us - test.ends_us
    val = _latest_free(first_us, test.begins_us - gap, test.ends_us - test.begins_us, met)
    ends_us = val[0].begins_us if val else test.begins_us
    return (Period("train", first_us, max(first_us, ends_us - gap)), *val, test, gate)


def split_by_time(
    at: pd.Series, periods: Sequence[Period] | None = None, held: Sequence[Period] = ()
) -> npt.NDArray[Any]:
    """(n,) train, val, test, gate by these periods (a first dataset's where they are left out); gap between
    them, held where an earlier dataset tests or gates, waiting after the gate. Never shuffled."""
    at_us = _us(at)
    periods = plan(at, held) if periods is None else periods
    parts = np.full(len(at_us), "gap", object)
    for one in periods:
        parts[one.holds(at_us)] = one.part
    parts[at_us >= periods[-1].ends_us] = "waiting"
    for one in held:
        parts[one.holds(at_us) & may_not(parts, one.part)] = "held"
    return parts


def may_not(parts: npt.NDArray[Any], before: str) -> Mask:
    """Which rows of these parts are barred from them, having been `before` (test or gate) once."""
    return ~np.isin(parts, ("test", "gate") if before == "test" else ("gate",))


def taught(frame: pd.DataFrame) -> pd.DataFrame:
    """What a trainer may look at: all but the gate, which is locked, and what came after it."""
    return frame.iloc[taught_rows(frame)].reset_index(drop=True)


def taught_rows(frame: pd.DataFrame) -> npt.NDArray[np.intp]:
    return np.flatnonzero(~frame["split"].isin(UNTAUGHT))


def _us(at: pd.Series) -> npt.NDArray[np.int64]:
    return np.asarray(at.dt.as_unit("us").astype("int64"), np.int64)


def _length_us(span: pd.Timedelta) -> int:
    return int(span.value // 1000)


def _still(met: Sequence[Period]) -> tuple[Period, Period] | None:
    """The latest test and gate of earlier datasets: they go on while too little has come since."""
    gate = max((one for one in met if one.part == "gate"), key=lambda one: one.ends_us, default=None)
    if gate is None:
        return None
    tests = [one for one in met if one.part == "test" and one.ends_us <= gate.begins_us]
    return (max(tests, key=lambda one: one.ends_us), gate) if tests else None


def _ended(at_us: npt.NDArray[np.int64], until: pd.Timestamp | None) -> npt.NDArray[np.int64]:
    """Without what came after `until`, unless too little is left to be a stretch."""
    if until is None:
        return at_us
    before = at_us[at_us < until.value // 1000]
    return before if _is_stretch(before) else at_us


def _is_stretch(at_us: npt.NDArray[np.int64]) -> bool:
    """Counted from its first event: a hole before it is no time in which anything could be learnt."""
    return len(at_us) > 0 and int(at_us[-1] + 1 - at_us[0]) >= _length_us(NEW_STRETCH)


def _set_aside(begins_us: int, ends_us: int) -> tuple[Period, Period]:
    """A test and a gate at the end of a stretch that has none."""
    span = ends_us - begins_us
    gap = min(_length_us(LABEL_DELAY), int(span * GAP_SHARE_MAX))
    gate = Period("gate", ends_us - int(span * SHARES["gate"]), ends_us)
    end_us = gate.begins_us - gap
    return Period("test", end_us - int(span * SHARES["test"]), end_us), gate


def _latest_free(first_us: int, end_us: int, length_us: int, held: Iterable[Period]) -> list[Period]:
    """val: the latest so much time before the test that no earlier dataset holds, in one piece or more."""
    free = [(first_us, end_us)] if first_us < end_us else []
    for one in held:
        pieces = [
            piece
            for begins, ends in free
            for piece in ((begins, min(ends, one.begins_us)), (max(begins, one.ends_us), ends))
        ]
        free = [piece for piece in pieces if piece[0] < piece[1]]
    found: list[Period] = []
    for begins, ends in reversed(free):
        if length_us > 0:
            found.insert(0, Period("val", max(begins, ends - length_us), ends))
            length_us -= ends - found[0].begins_us
    return found
