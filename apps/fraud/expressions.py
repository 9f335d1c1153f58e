"""A rule's condition: text in, a function over facts out, or the place of what is wrong with it.

The only file that knows rule-engine, which is here because it has a grammar of its own with types and
evaluates no Python. It parses and types the text; of its tree only the nodes below are taken, and each
becomes a closure: its own evaluator converts and checks every value at each look, 3 to 20 µs a rule, which a
hundred rules an event do not have. A node without a closure cannot be said, so there are no regular
expressions, no calls, no attributes, no loops, and the cost of a rule is bounded by its length.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import DecimalException
from difflib import get_close_matches
from enum import Enum
from typing import Any

from rule_engine import Context, DataType, EngineError, Rule, ast
from rule_engine.errors import RuleSyntaxError

LENGTH_MAX = 500
TOKENS_MAX = 150  # also the depth of the tree
Facts = Mapping[str, Any]
Value = Callable[[Facts], Any]
# Before the parser builds (and works out) anything: what is not here is not said.
_TOKENS = frozenset({
    "SYMBOL", "FLOAT", "STRING", "TRUE", "FALSE", "LPAREN", "RPAREN", "LBRACKET", "RBRACKET", "LBRACE",
    "RBRACE", "COMMA", "COLON", "ADD", "SUB", "MUL", "TDIV", "MOD", "EQ", "NE", "GT", "GE", "LT", "LE",
    "AND", "OR", "NOT", "IN",
})  # fmt: skip
_COMPARED = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt,
    "le": operator.le,
}  # fmt: skip
_RECKONED = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "tdiv": operator.truediv,
    "mod": operator.mod,
}  # fmt: skip


class Kind(Enum):
    NUMBER = "a number"
    TEXT = "text"
    TRUTH = "true or false"


_TYPES = {Kind.NUMBER: DataType.FLOAT, Kind.TEXT: DataType.STRING, Kind.TRUTH: DataType.BOOLEAN}
_KINDS = {name: kind for kind, name in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class Expression:
    """`holds` is what `text` says; `names` are the fields it looks at."""

    text: str
    holds: Callable[[Facts], bool]
    names: frozenset[str]


class Fault(ValueError):
    """What is wrong, in words, and where: the first character's place in the text, from 0."""

    def __init__(self, message: str, at: int, near: str = "") -> None:
        super().__init__(message)
        self.message, self.at, self.near = message, at, near


class _Refused(Exception):
    """A node that cannot be said here."""

    def __init__(self, message: str, node: Any) -> None:
        super().__init__(message)
        self.node = node


def compiled(text: str, fields: Mapping[str, Kind]) -> Expression:
    """Raises Fault for what is too long, malformed, unknown, or of the wrong type."""
    if len(text) > LENGTH_MAX:
        raise Fault(f"Longer than {LENGTH_MAX} characters.", LENGTH_MAX)
    names = _looked_over(text, fields)
    if not names:
        raise Fault("This names no field, so it would fire always or never.", 0)
    resolved: list[str] = []

    def type_of(name: str) -> Any:
        resolved.append(name)
        return _TYPES[fields[name]]

    try:
        tree = Rule(text, Context(type_resolver=type_of)).statement.expression
        if _kind(tree) is not Kind.TRUTH:
            raise _Refused(f"A condition must be true or false, and this is {_kind(tree).value}.", tree)
        holds = _value(tree)
    except RuleSyntaxError as error:
        raise _malformed(text, error) from None
    except _Refused as error:
        raise _at(str(error), next(_symbols(error.node), names[0]), text) from None
    except (EngineError, DecimalException, ArithmeticError, TypeError, ValueError, RecursionError):
        name = (resolved or names)[-1]
        raise _at(f"{name!r} is {fields[name].value}, which does not fit here.", name, text) from None
    return Expression(text, holds, frozenset(names))


def _looked_over(text: str, fields: Mapping[str, Kind]) -> list[str]:
    """The names in the text, once every word in it is one that may be said."""
    lexer = Rule.parser._lexer.clone()
    lexer.input(text)
    names = []
    try:
        for count, token in enumerate(iter(lexer.token, None), 1):
            if token.type not in _TOKENS or str(token.value).startswith("$"):
                raise Fault(f"{str(token.value)!r} cannot be used in a rule.", token.lexpos, str(token.value))
            if token.type == "SYMBOL" and token.value not in fields:
                near = get_close_matches(token.value, fields, n=1)
                hint = f" Is it {near[0]!r}?" if near else ""
                raise Fault(f"There is no field {token.value!r}.{hint}", token.lexpos, token.value)
            if count > TOKENS_MAX:
                raise Fault(f"More than {TOKENS_MAX} words and signs.", token.lexpos)
            if token.type == "SYMBOL":
                names.append(token.value)
    except RuleSyntaxError as error:
        raise _malformed(text, error) from None
    return names


def _malformed(text: str, error: RuleSyntaxError) -> Fault:
    if error.token is None:
        return Fault("It ends too soon.", len(text))
    near = str(error.token.value).split(maxsplit=1)[0][:20]
    return Fault(f"{near!r} is not expected here.", error.token.lexpos, near)


def _at(message: str, name: str, text: str) -> Fault:
    lexer = Rule.parser._lexer.clone()
    lexer.input(text)
    places = [token.lexpos for token in iter(lexer.token, None) if token.value == name]
    return Fault(message, places[0] if places else 0, name if places else "")


def _symbols(node: Any) -> Any:
    """The names below a node, as they stand in the text."""
    if isinstance(node, ast.SymbolExpression):
        yield node.name
    for part in ("left", "right", "member", "container"):
        if (below := getattr(node, part, None)) is not None:
            yield from _symbols(below)


def _kind(node: Any) -> Kind:
    for known, kind in _KINDS.items():
        if node.result_type == known:
            return kind
    raise _Refused("This is neither a number nor text nor true or false.", node)


def _of_kind(node: Any, kind: Kind, what: str) -> Value:
    if _kind(node) is not kind:
        raise _Refused(f"{what} takes {kind.value}; this is {_kind(node).value}.", node)
    return _value(node)


def _value(node: Any) -> Value:
    build = _BUILDERS.get(type(node))
    if build is None:
        raise _Refused("This cannot be used in a rule.", node)
    return build(node)


def _symbol(node: Any) -> Value:
    return operator.itemgetter(node.name)


def _literal(node: Any) -> Value:
    known = _plain(node)
    return lambda _: known


def _plain(node: Any) -> Any:
    if not isinstance(node, ast.FloatExpression):
        return node.value
    number = float(node.value)
    if not math.isfinite(number):
        raise _Refused("This number is too large.", node)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _logic(node: Any) -> Value:
    left, right = (_of_kind(side, Kind.TRUTH, f"{node.type!r}") for side in (node.left, node.right))
    if node.type == "and":
        return lambda facts: left(facts) and right(facts)
    return lambda facts: left(facts) or right(facts)


def _comparison(node: Any) -> Value:
    compare = _COMPARED[node.type]
    if _kind(node.left) is not _kind(node.right):
        raise _Refused(f"This compares {_kind(node.left).value} with {_kind(node.right).value}.", node)
    if _kind(node.left) is Kind.TRUTH and node.type not in ("eq", "ne"):
        raise _Refused("True or false has no order.", node)
    left = _value(node.left)
    if isinstance(node.right, ast.FloatExpression | ast.StringExpression):
        known = _plain(node.right)  # the usual case, and a third faster
        return lambda facts: compare(left(facts), known)
    right = _value(node.right)
    return lambda facts: compare(left(facts), right(facts))


def _reckoning(node: Any) -> Value:
    reckon = _RECKONED[node.type]
    left, right = (_of_kind(side, Kind.NUMBER, "Arithmetic") for side in (node.left, node.right))
    return lambda facts: reckon(left(facts), right(facts))


def _unary(node: Any) -> Value:
    if node.type == "not":
        inner = _of_kind(node.right, Kind.TRUTH, "'not'")
        return lambda facts: not inner(facts)
    inner = _of_kind(node.right, Kind.NUMBER, "A minus sign")
    return lambda facts: -inner(facts)


def _contains(node: Any) -> Value:
    if isinstance(node.container, ast.ArrayExpression | ast.SetExpression):
        kind, member = _kind(node.member), _value(node.member)
        for one in node.container.value:
            if not isinstance(one, ast.FloatExpression | ast.StringExpression) or _kind(one) is not kind:
                raise _Refused(f"A list to look {kind.value} up in holds nothing else.", node.member)
        known = frozenset(map(_plain, node.container.value))
        return lambda facts: member(facts) in known
    text, part = (_of_kind(side, Kind.TEXT, "'in'") for side in (node.container, node.member))
    return lambda facts: part(facts) in text(facts)


def _slice(node: Any) -> Value:
    text = _of_kind(node.container, Kind.TEXT, "A part in brackets")
    ends: list[int | None] = []
    for end in (node.start, node.stop):
        if isinstance(end, ast.FloatExpression):
            ends.append(int(end.value))
        elif end is None or getattr(end, "value", 0) is None:
            ends.append(None)
        else:
            raise _Refused("A part in brackets takes plain numbers.", node.container)
    part = slice(*ends)
    return lambda facts: text(facts)[part]


_BUILDERS: dict[type, Callable[[Any], Value]] = {
    ast.SymbolExpression: _symbol,
    ast.FloatExpression: _literal,
    ast.StringExpression: _literal,
    ast.BooleanExpression: _literal,
    ast.LogicExpression: _logic,
    ast.ComparisonExpression: _comparison,
    ast.ArithmeticComparisonExpression: _comparison,
    ast.AddExpression: _reckoning,
    ast.SubtractExpression: _reckoning,
    ast.ArithmeticExpression: _reckoning,
    ast.UnaryExpression: _unary,
    ast.ContainsExpression: _contains,
    ast.GetSliceExpression: _slice,
}
