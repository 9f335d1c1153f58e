"""A condition as a function over one event's facts, each part a closure: what decides."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

Facts = Mapping[str, Any]
Value = Callable[[Facts], Any]
COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt,
    "le": operator.le,
}  # fmt: skip
RECKONED: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "tdiv": operator.truediv,
    "mod": operator.mod,
}  # fmt: skip


class Closures:
    """See `expressions.Algebra`."""

    def field(self, name: str) -> Value:
        return operator.itemgetter(name)

    def literal(self, known: Any) -> Value:
        return lambda _: known

    def both(self, left: Value, right: Value) -> Value:
        return lambda facts: left(facts) and right(facts)

    def either(self, left: Value, right: Value) -> Value:
        return lambda facts: left(facts) or right(facts)

    def negation(self, inner: Value) -> Value:
        return lambda facts: not inner(facts)

    def comparison(self, sign: str, left: Value, right: Value) -> Value:
        compare = COMPARED[sign]
        return lambda facts: compare(left(facts), right(facts))

    def comparison_with(self, sign: str, left: Value, known: Any) -> Value:
        compare = COMPARED[sign]
        return lambda facts: compare(left(facts), known)

    def reckoning(self, sign: str, left: Value, right: Value) -> Value:
        reckon = RECKONED[sign]
        return lambda facts: reckon(left(facts), right(facts))

    def minus(self, inner: Value) -> Value:
        return lambda facts: -inner(facts)

    def among(self, member: Value, known: frozenset[Any]) -> Value:
        return lambda facts: member(facts) in known

    def within(self, part: Value, text: Value) -> Value:
        return lambda facts: part(facts) in text(facts)

    def part(self, text: Value, ends: slice) -> Value:
        return lambda facts: text(facts)[ends]
