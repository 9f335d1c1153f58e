"""What rules would have come to on payments that were decided: sums over slices that can be added up.

Labels are what somebody said, as it is known now. Nobody's word is no word: a payment that nobody spoke of,
declined or not, is unknown and counts neither as fraud nor as good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.fraud.backtests.vectors import Bools, Column, Condition, condition
from apps.fraud.rules.facts import KINDS
from apps.fraud.rules.rules import SEVERITY, answerable

UNKNOWN = -1
OUTCOMES = sorted(SEVERITY, key=SEVERITY.__getitem__)  # approve, review, decline: 0, 1, 2
APPROVE, REVIEW, DECLINE = range(3)
SIDES = ("as decided", "model alone", "model and these rules")
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slice:
    """Of n payments, in no order. Severities are places in OUTCOMES.

    `columns`: by field; `seen`: whether what the model saw is kept, (n,); `with_history`: whether that was of
    the card's history, all true where no field asks; `amounts`: minor units of the reporting currency;
    `labels`: 1 fraud, 0 not, UNKNOWN where nobody spoke; `scores`: NaN without the model; `by_model`:
    severity it asked for, UNKNOWN without it; `made`: of the decision; `advice`: told of a payment that had
    been made.
    """

    columns: dict[str, Column]
    seen: Bools
    with_history: Bools
    amounts: Ints
    labels: Ints
    scores: Floats
    by_model: Ints
    made: Ints
    advice: Bools

    @property
    def n(self) -> int:
        return len(self.amounts)


@dataclass(frozen=True, slots=True)
class Tested:
    """A rule, ready to be asked of columns."""

    severity: int
    shadow: bool
    condition: Condition


def tested(rules: Iterable[Mapping[str, Any]]) -> list[Tested]:
    """Raises Fault for a condition that can no longer be said."""
    return [Tested(SEVERITY[one["action"]], one["shadow"], condition(one["when"], KINDS)) for one in rules]


# Of each rule, among the payments it was asked of; `*_minor` is money. `alone`: the model asked for nothing.
OF_RULE = (
    "asked", "failed", "fired", "fired_minor", "caught", "caught_minor", "missed", "missed_minor",
    "false_alarms", "false_alarms_minor", "unknown", "with_model", "caught_alone", "caught_alone_minor",
)  # fmt: skip
# Of each way to decide: SIDES.
OF_SIDE = (
    "alerts", "declines", "caught", "caught_minor", "declined_fraud_minor", "good_alerts", "good_declined",
    "good_declined_minor", "unknown_alerts",
)  # fmt: skip
OF_ALL = ("payments", "frauds", "fraud_minor", "good", "unknown", "without_model")


@dataclass(frozen=True, slots=True)
class Tally:
    """int64: rules (R, len(OF_RULE)), sides (len(SIDES), len(OF_SIDE)), whole (len(OF_ALL),), and how many
    payments and frauds each two rules fire for together, (R, R). `without_history`: of how many payments the
    model saw no history, (1,)."""

    rules: Ints
    sides: Ints
    whole: Ints
    together: Ints
    caught_together: Ints
    without_history: Ints

    @classmethod
    def empty(cls, n_rules: int) -> Tally:
        return cls(
            np.zeros((n_rules, len(OF_RULE)), np.int64), np.zeros((len(SIDES), len(OF_SIDE)), np.int64),
            np.zeros(len(OF_ALL), np.int64), np.zeros((n_rules, n_rules), np.int64),
            np.zeros((n_rules, n_rules), np.int64), np.zeros(1, np.int64),
        )  # fmt: skip

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Tally)))

    def as_json(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name).tolist() for one in fields(Tally)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], n_rules: int) -> Tally:
        """What was not summed up yet when they were kept is nought."""
        none = cls.empty(n_rules)
        empty = {one.name: getattr(none, one.name) for one in fields(cls)}
        return cls(**{
            name: np.array(kept.get(name, sums), np.int64).reshape(sums.shape) for name, sums in empty.items()
        })  # fmt: skip


def names_of(rules: Sequence[Tested]) -> list[str]:
    """The fields they look at."""
    return sorted({name for one in rules for name in one.condition.names})


def tally(found: Slice, rules: Sequence[Tested]) -> Tally:
    """Each rule is asked of what is known of a payment, where it is `answerable`."""
    sums = Tally.empty(len(rules))
    fired = np.zeros((len(rules), found.n), bool)
    model = found.by_model > APPROVE
    for row, rule in enumerate(rules):
        fires, failed = rule.condition.fires(found.columns, found.n)
        asked = _asked(found, rule)
        fired[row] = fires & asked
        sums.rules[row] = _of_rule(found, fired[row], asked, failed & asked, model)
    sums.together[:], sums.caught_together[:] = _pairs(fired), _pairs(fired[:, found.labels == 1])
    ours = _settled(found, rules, fired)
    by_model = np.maximum(found.by_model, APPROVE)
    for row, severity in enumerate((found.made, _advised(found, by_model), _advised(found, ours))):
        sums.sides[row] = _of_side(found, severity)
    fraud = found.labels == 1
    sums.whole[:] = (
        found.n, fraud.sum(), found.amounts[fraud].sum(), (found.labels == 0).sum(),
        (found.labels == UNKNOWN).sum(), (found.by_model == UNKNOWN).sum(),
    )  # fmt: skip
    sums.without_history[:] = (found.seen & ~found.with_history).sum()
    return sums


def _asked(found: Slice, rule: Tested) -> Bools:
    """(n,), from its answers where nothing, no history and the history was seen."""
    names = rule.condition.names
    gone, blank, read = (
        answerable(names, kept=kept, with_history=with_history)
        for kept, with_history in ((False, False), (True, False), (True, True))
    )
    return np.where(found.seen, np.where(found.with_history, read, blank), gone)


def _of_rule(found: Slice, fired: Bools, asked: Bools, failed: Bools, model: Bools) -> list[int]:
    fraud, good = found.labels == 1, found.labels == 0
    caught, missed, false_alarms = fired & fraud, ~fired & fraud & asked, fired & good
    alone = caught & ~model

    def money(which: Bools) -> int:
        return int(found.amounts[which].sum())

    return [
        int(asked.sum()), int(failed.sum()), int(fired.sum()), money(fired), int(caught.sum()), money(caught),
        int(missed.sum()), money(missed), int(false_alarms.sum()), money(false_alarms),
        int((fired & (found.labels == UNKNOWN)).sum()), int((fired & model).sum()), int(alone.sum()),
        money(alone),
    ]  # fmt: skip


def _of_side(found: Slice, severity: Ints) -> list[int]:
    fraud, good = found.labels == 1, found.labels == 0
    alert, decline = severity > APPROVE, severity == DECLINE

    def money(which: Bools) -> int:
        return int(found.amounts[which].sum())

    return [
        int(alert.sum()), int(decline.sum()), int((alert & fraud).sum()), money(alert & fraud),
        money(decline & fraud), int((alert & good).sum()), int((decline & good).sum()), money(decline & good),
        int((alert & (found.labels == UNKNOWN)).sum()),
    ]  # fmt: skip


def _settled(found: Slice, rules: Sequence[Tested], fired: Bools) -> Ints:
    """As `rules.settle`: the severest that is asked for; a rule that allows takes the model's word away."""
    asked = np.full(found.n, APPROVE, np.int64)
    allowed = np.zeros(found.n, bool)
    for rule, fires in zip(rules, fired, strict=True):
        if rule.shadow:
            continue
        if rule.severity == APPROVE:
            allowed |= fires
        else:
            np.maximum(asked, np.where(fires, rule.severity, APPROVE), out=asked)
    return np.maximum(asked, np.where(allowed, APPROVE, found.by_model))


def _advised(found: Slice, severity: Ints) -> Ints:
    """An advice is never declined: the payment has been made."""
    return np.where(found.advice, np.minimum(severity, REVIEW), severity)


def _pairs(fired: Bools) -> Ints:
    """By bits, eight payments a byte: no BLAS, whose threads wait for each other on a busy machine."""
    packed = np.packbits(fired, axis=1)
    counts = [np.bitwise_count(row & packed).sum(axis=1, dtype=np.int64) for row in packed]
    return np.array(counts, np.int64).reshape(len(fired), len(fired))
