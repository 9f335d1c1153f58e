"""A condition over columns of many events at once: what a backtest asks.

Text is kept as codes into the words that occur, so that comparing a million of them compares a few thousand
words. What cannot be worked out for an event (a division by zero) is marked and goes the way it goes in
`closures`: it is as if the rule did not fire, but only where `and` and `or` come to look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.fraud.rules.closures import COMPARED, RECKONED
from apps.fraud.rules.expressions import Kind, built

Bools = npt.NDArray[np.bool_]
NOWHERE: Bools = np.zeros((), bool)


@dataclass(frozen=True, slots=True)
class Column:
    """Of n events: float64, bool, or int32 codes into `words`, (n,) or () where all are alike.

    `failed`: bool of the same shapes, where the value could not be worked out and means nothing.
    """

    values: npt.NDArray[Any]
    words: Sequence[str] | None = None
    failed: Bools = field(default_factory=lambda: NOWHERE)

    @property
    def texts(self) -> npt.NDArray[Any]:
        return np.asarray(np.array(self.words, object)[self.values])


Columns = Mapping[str, Column]
Value = Callable[[Columns], Column]


@dataclass(frozen=True, slots=True)
class Condition:
    """`fires` answers bool (n,) twice: where it holds, and where it could not be worked out."""

    value: Value
    names: frozenset[str]

    def fires(self, columns: Columns, n: int) -> tuple[Bools, Bools]:
        found = self.value(columns)
        failed = np.broadcast_to(found.failed, n)
        return np.broadcast_to(found.values, n) & ~failed, failed


def condition(text: str, fields: Mapping[str, Kind]) -> Condition:
    """Raises as `expressions.compiled`."""
    return Condition(*built(text, fields, Vectors()))


def text_column(words: Sequence[str]) -> Column:
    known: dict[str, int] = {}
    codes = np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32, len(words))
    return Column(codes, list(known))


class Vectors:
    """See `expressions.Algebra`."""

    def field(self, name: str) -> Value:
        return lambda columns: columns[name]

    def literal(self, known: Any) -> Value:
        made = (
            Column(np.zeros((), np.int32), [known]) if isinstance(known, str) else Column(np.asarray(known))
        )
        return lambda _: made

    def both(self, left: Value, right: Value) -> Value:
        def value(columns: Columns) -> Column:
            a, b = left(columns), right(columns)
            return Column(a.values & b.values, failed=a.failed | (a.values & b.failed))

        return value

    def either(self, left: Value, right: Value) -> Value:
        def value(columns: Columns) -> Column:
            a, b = left(columns), right(columns)
            return Column(a.values | b.values, failed=a.failed | (~a.values & b.failed))

        return value

    def negation(self, inner: Value) -> Value:
        def value(columns: Columns) -> Column:
            one = inner(columns)
            return Column(~one.values, failed=one.failed)

        return value

    def comparison(self, sign: str, left: Value, right: Value) -> Value:
        compare = COMPARED[sign]

        def value(columns: Columns) -> Column:
            a, b = left(columns), right(columns)
            sides = (a.values, b.values) if a.words is None else (a.texts, b.texts)
            return Column(np.asarray(compare(*sides), bool), failed=a.failed | b.failed)

        return value

    def comparison_with(self, sign: str, left: Value, known: Any) -> Value:
        compare = COMPARED[sign]
        return lambda columns: _of_each(left(columns), lambda values: compare(values, known))

    def reckoning(self, sign: str, left: Value, right: Value) -> Value:
        reckon = RECKONED[sign]

        def value(columns: Columns) -> Column:
            a, b = left(columns), right(columns)
            failed = a.failed | b.failed
            if sign in ("tdiv", "mod"):
                failed = failed | (b.values == 0)
            with np.errstate(all="ignore"):
                made = reckon(np.asarray(a.values, np.float64), np.asarray(b.values, np.float64))
            return Column(np.asarray(made), failed=failed)

        return value

    def minus(self, inner: Value) -> Value:
        def value(columns: Columns) -> Column:
            one = inner(columns)
            return Column(-one.values, failed=one.failed)

        return value

    def among(self, member: Value, known: frozenset[Any]) -> Value:
        def value(columns: Columns) -> Column:
            one = member(columns)
            if one.words is None:
                return Column(np.isin(one.values, list(known)), failed=one.failed)
            return _of_each(one, lambda words: np.fromiter((word in known for word in words), bool))

        return value

    def within(self, part: Value, text: Value) -> Value:
        def value(columns: Columns) -> Column:
            a, b = part(columns), text(columns)
            if a.values.ndim == 0 and a.words is not None:  # the usual case: a literal
                known = a.words[int(a.values)]
                found = _of_each(b, lambda words: np.fromiter((known in word for word in words), bool))
                return Column(found.values, failed=a.failed | b.failed)
            pairs = np.broadcast(a.texts, b.texts)
            found_in = np.fromiter((one in other for one, other in pairs), bool, pairs.size)
            return Column(found_in, failed=a.failed | b.failed)

        return value

    def part(self, text: Value, ends: slice) -> Value:
        def value(columns: Columns) -> Column:
            one = text(columns)
            return Column(one.values, [word[ends] for word in one.words or ()], one.failed)

        return value


def _of_each(one: Column, ask: Callable[[npt.NDArray[Any]], Any]) -> Column:
    """Asked of the numbers, or once of each word."""
    if one.words is None:
        return Column(np.asarray(ask(one.values), bool), failed=one.failed)
    of_words = np.asarray(ask(np.array(one.words, object)), bool)
    return Column(np.asarray(of_words[one.values]), failed=one.failed)
