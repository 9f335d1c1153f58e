"""What is watched of a version in service, and when that is worth an alarm: measures, facts, rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

HYSTERESIS = 0.1  # of the limit: so far back within it closes an alarm, so that none flutters


class Worse(StrEnum):
    ABOVE = "above"
    BELOW = "below"


class Unit(StrEnum):
    SHARE = "share"
    NUMBER = "number"
    SECONDS = "s"
    MILLISECONDS = "ms"


@dataclass(frozen=True, slots=True)
class Measure:
    """Something a domain watches. `limit` is the usual one, None for no alarm unless a site sets one; it lies
    in [least, most]. `against_training`: the limit is how much worse than on the version's own test part.
    A fact that rests on fewer than `enough` cases claims nothing; 0 for what rests on none."""

    name: str
    title: str
    help: str
    unit: Unit
    worse: Worse
    limit: float | None
    least: float = 0.0
    most: float = 1.0
    enough: int = 1
    against_training: bool = False

    def say(self, value: float) -> str:
        """With its unit, as people read it."""
        if self.unit == Unit.SHARE:
            return f"{100 * value:.1f} %"
        if self.unit == Unit.NUMBER:
            return f"{value:.3f}"
        return f"{value:.3g} {self.unit}"

    @property
    def factor(self) -> float:
        """What a value is multiplied by where people read or write it: shares in percent."""
        return 100.0 if self.unit == Unit.SHARE else 1.0

    @property
    def sign(self) -> str:
        """The unit of that."""
        return {Unit.SHARE: "%", Unit.NUMBER: ""}.get(self.unit, str(self.unit))


@dataclass(frozen=True, slots=True)
class Fact:
    """A measure as it is now, of `n` cases, with its 95 % interval where there is one.

    `value` is None where it cannot be said; `says` is why, or what the value is of; `reference` is what the
    version's own test part measured.
    """

    measure: str
    value: float | None
    n: int = 0
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    says: str = ""


def claimed(measure: Measure, fact: Fact) -> Fact:
    """The fact, without its value where that rests on too little."""
    if fact.value is None or fact.n >= measure.enough:
        return fact
    return replace(
        fact, value=None, low=None, high=None,
        says=f"Too few to say: {fact.n} of the {measure.enough} that it takes.",
    )  # fmt: skip


def held_to(measure: Measure, limit: float, reference: float | None) -> float | None:
    """The value beyond which there is an alarm; None where there is nothing to be worse than."""
    if not measure.against_training:
        return limit
    if reference is None:
        return None
    return reference + limit if measure.worse == Worse.ABOVE else reference - limit


def is_beyond(measure: Measure, fact: Fact, bound: float) -> bool:
    """With its whole interval, where it has one: what may be chance opens no alarm."""
    if fact.value is None:
        return False
    if measure.worse == Worse.ABOVE:
        return (fact.value if fact.low is None else fact.low) > bound
    return (fact.value if fact.high is None else fact.high) < bound


def is_back(measure: Measure, fact: Fact, bound: float, limit: float) -> bool:
    """Well within the bound, by a part of the limit."""
    if fact.value is None:
        return False
    slack = HYSTERESIS * abs(limit)
    if measure.worse == Worse.ABOVE:
        return fact.value <= bound - slack
    return fact.value >= bound + slack


def sentence_of(measure: Measure, fact: Fact, bound: float, version: int) -> str:
    """What an alarm says. `fact` has a value."""
    say, value = measure.say, fact.value or 0.0
    interval = "" if fact.low is None or fact.high is None else f" ({say(fact.low)} to {say(fact.high)})"
    own = ""
    if measure.against_training and fact.reference is not None:
        own = f"; its own test had {say(fact.reference)}"
    return (
        f"{measure.title} of version {version} is {say(value)}{interval},"
        f" {measure.worse} the limit of {say(bound)}{own}."
    )
