"""What a version must show on a locked part before it may serve: the lines, for any domain, and their rules.

A domain's gate scores candidate and champion on the same examples, which neither learnt from, and asks these
functions for the lines. Differences are paired: both are measured on the same draws of whole groups
(patients, cards), so that what is hard about a draw is hard for both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ml.common.artefact import ArtefactError
from ml.common.metrics import bootstrap_intervals
from ml.common.paired import paired_differences

LOCKED = "gate"  # the split of a dataset that judges and never teaches
TAUGHT = ("train", "val")  # the splits a version learnt or chose by
ROUNDS = 200
TIMED, WARM_UP = 30, 3  # calls
Ints = npt.NDArray[np.integer]
Measures = Callable[[Any], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Contender:
    """An artefact's folder and hash, and the folder of the dataset it learnt from."""

    folder: Path
    artefact_hash: str
    dataset_dir: Path


@dataclass(frozen=True, slots=True)
class GateRequest:
    """The locked part of the candidate's dataset judges. Without a champion the candidate stands alone.

    At batch 1 the candidate may take `latency_ms` and `slower_percent` more than the champion, at most.
    """

    candidate: Contender
    champion: Contender | None
    latency_ms: float
    slower_percent: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GateLine:
    """One question. `measured` is held against `limit`, both in the line's own unit; `low` and `high` are the
    interval of what was measured; `sentence` says it all."""

    name: str
    title: str
    passed: bool
    sentence: str
    measured: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class GateReport:
    """`n` examples of the locked part were looked at, `n_left_out` of it were not: they had taught."""

    lines: tuple[GateLine, ...]
    n: int = 0
    n_left_out: int = 0

    @property
    def passed(self) -> bool:
        return bool(self.lines) and self.n > 0 and all(line.passed for line in self.lines)


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate less champion, with its interval where enough draws defined it."""

    candidate: float
    champion: float
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float:
        return self.candidate - self.champion


class Loader(Protocol):
    def __call__(self, folder: Path, expected_hash: str | None = None) -> Any: ...


def open_candidate(load: Loader, candidate: Contender) -> tuple[Any, GateLine]:
    """The predictor, or None, and the line about its golden inputs: loading replays them."""
    try:
        predictor = load(candidate.folder, candidate.artefact_hash)
    except ArtefactError as error:
        return None, GateLine("golden", "Golden inputs", False, error.message)
    return predictor, GateLine(
        "golden", "Golden inputs", True, "Its files are whole and it answers its golden inputs as recorded."
    )


def open_champion(load: Loader, champion: Contender | None) -> tuple[Any, list[GateLine]]:
    """The predictor, or None where there is no champion that can be loaded: such a one serves nobody."""
    if champion is None:
        return None, []
    try:
        return load(champion.folder, champion.artefact_hash), []
    except ArtefactError as error:
        said = f"The champion cannot be loaded, so that the candidate is judged alone: {error.message}"
        return None, [GateLine("champion", "Champion", True, said)]


def locked_line(n_locked: int, n: int) -> GateLine:
    """`n` of the `n_locked` examples of the locked part taught neither of the two."""
    if not n_locked:
        said = "The dataset has no locked part: freeze a dataset with a locked part and train on that."
    elif not n:
        said = f"All {n_locked} examples of the locked part taught the candidate or the champion."
    else:
        left_out = (
            f"; {n_locked - n} more had taught one of the two and were left out" if n_locked > n else ""
        )
        said = f"{n} examples that taught neither{left_out}."
    return GateLine("locked_part", "Locked part", n > 0, said, measured=n, limit=1)


def differences(
    candidate: Measures,
    champion: Measures,
    groups: Sequence[object] | npt.NDArray[Any],
    *,
    seed: int,
    level: float = 0.95,
) -> dict[str, Difference]:
    """By measure, where both define it, over ROUNDS paired draws of whole groups."""

    every = np.arange(len(groups))
    ours, theirs = candidate(every), champion(every)
    found = paired_differences(champion, candidate, groups, rounds=ROUNDS, seed=seed, level=level)
    return {
        name: Difference(value, champions, found[name].low, found[name].high)
        for name, value in ours.items()
        if value is not None and (champions := theirs.get(name)) is not None
    }


def quality_line(name: str, title: str, found: Difference | None, margin: float) -> GateLine:
    """Better, or shown not to be worse by more than `margin`: the whole interval lies above -margin."""
    if found is None or found.low is None or found.high is None:
        return GateLine(name, title, False, "The locked part has too few cases of both kinds to measure it.")
    passed = found.low >= -margin
    verdict = "better" if found.low > 0 else "not worse" if passed else "worse, or too few cases to tell"
    said = (
        f"{found.candidate:.3f} where the champion has {found.champion:.3f}: {verdict}. The difference is"
        f" {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}); its lower end may be {-margin:+.3f}."
    )
    return GateLine(name, title, passed, said, found.value, -margin, found.low, found.high)


def part_line(name: str, title: str, found: Difference, margin: float) -> GateLine:
    """Refused where it is worse by more than `margin` and chance does not explain it: the interval, made
    wider for the number of parts that are looked at, lies below 0.

    A part is small. To ask of each that it be shown not to be worse would refuse every candidate.
    """
    passed = not (found.value < -margin and found.high is not None and found.high < 0)
    if found.low is None or found.high is None:
        verdict, interval = "too few cases for an interval", ""
    else:
        interval = f" ({found.low:+.3f} to {found.high:+.3f})"
        shown = "not worse" if found.low >= -margin else "no sign that it is worse, on few cases"
        verdict = shown if passed else "worse"
    said = (
        f"{found.candidate:.3f} where the champion has {found.champion:.3f}: {verdict}."
        f" The difference is {found.value:+.3f}{interval}; worse than {-margin:+.3f} is refused."
    )
    return GateLine(name, title, passed, said, found.value, -margin, found.low, found.high)


def lone_line(
    name: str, title: str, measures: Measures, groups: Any, chance: float, *, seed: int
) -> GateLine:
    """Better than chance, by the lower end of its interval: all there is to ask with no champion, and asked
    beside one too, or who is as bad as a bad champion would pass."""
    value = measures(np.arange(len(groups)))[name]
    low, high = bootstrap_intervals(measures, groups, rounds=ROUNDS, seed=seed).get(name, (None, None))
    if value is None or low is None:
        return GateLine(name, title, False, "The locked part has too few cases of both kinds to measure it.")
    said = f"{value:.3f} ({low:.3f} to {high:.3f}); chance would give {chance:.3f}."
    return GateLine(name, title, low > chance, said, value, chance, low, high)


def above_chance(measure: str, measures: Measures, groups: Any, chance: float, *, seed: int) -> GateLine:
    """The same as a line of its own beside a champion."""
    line = lone_line(measure, "Better than chance", measures, groups, chance, seed=seed)
    return replace(line, name="chance")


def level_of_parts(n: int) -> float:
    """Of the interval of each of n parts, so that chance refuses in 5 % of all gates and not of all parts."""
    return 1 - 0.05 / max(1, n)


def timed_ms(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The median of TIMED calls of each, by turns: what else the machine does meets all alike."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + TIMED):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= WARM_UP:
                spent[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in spent.items()}


def latency_line(spent: Mapping[str, float], request: GateRequest) -> GateLine:
    """`spent`: ms of the "candidate" and, where there is one, of the "champion"."""
    ours, theirs = spent["candidate"], spent.get("champion")
    limit = request.latency_ms
    beside = "with no champion beside it"
    if theirs is not None:
        limit = min(limit, theirs * (1 + request.slower_percent / 100))
        beside = f"where the champion takes {theirs:.2f} ms in the same run"
    said = f"{ours:.2f} ms for one at a time, {beside}; at most {limit:.2f} ms."
    return GateLine("latency", "Latency", ours <= limit, said, ours, limit)
