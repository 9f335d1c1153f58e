"""A rule's condition: text in, a function over facts out, or the place of what is wrong with it.

The only file that knows rule-engine, which is here because it has a grammar of its own with types and
evaluates no Python. It parses and types the text; of its tree only the nodes below are taken, and each
becomes what an algebra makes of it: a closure over one event's facts (`closures`), or over columns of many
events (`vectors`). Its own evaluator converts and checks every value at each look, 3 to 20 µs a rule, which a
hundred rules an event do not have. A node that is not here cannot be said, so there are no regular
expressions, no calls, no attributes, no loops, and the cost of a rule is bounded by its length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import DecimalException
from difflib import get_close_matches
from enum import Enum
from typing import Any, Protocol

from rule_engine import Context, DataType, EngineError, Rule, ast
from rule_engine.errors import RuleSyntaxError

from apps.fraud.rules.closures import Closures, Facts

LENGTH_MAX = 500
TOKENS_MAX = 150  # also the depth of the tree
# Before the parser builds (and works out) anything: what is not here is not said.
_TOKENS = frozenset({
    "SYMBOL", "FLOAT", "STRING", "TRUE", "FALSE", "LPAREN", "RPAREN", "LBRACKET", "RBRACKET", "LBRACE",
    "RBRACE", "COMMA", "COLON", "ADD", "SUB", "MUL", "TDIV", "MOD", "EQ", "NE", "GT", "GE", "LT", "LE",
    "AND", "OR", "NOT", "IN",
})  # fmt: skip


class Kind(Enum):
    NUMBER = "a number"
    TEXT = "text"
    TRUTH = "true or false"


_TYPES = {Kind.NUMBER: DataType.FLOAT, Kind.TEXT: DataType.STRING, Kind.TRUTH: DataType.BOOLEAN}
_KINDS = {name: kind for kind, name in _TYPES.items()}


class Algebra(Protocol):
    """What the parts of a condition become. What it makes of fields and literals it gets back as parts."""

    def field(self, name: str) -> Any: ...
    def literal(self, known: Any) -> Any: ...
    def both(self, left: Any, right: Any) -> Any: ...
    def either(self, left: Any, right: Any) -> Any: ...
    def negation(self, inner: Any) -> Any: ...
    def comparison(self, sign: str, left: Any, right: Any) -> Any: ...
    def comparison_with(self, sign: str, left: Any, known: Any) -> Any:
        """With a literal: the usual case, and faster."""

    def reckoning(self, sign: str, left: Any, right: Any) -> Any: ...
    def minus(self, inner: Any) -> Any: ...
    def among(self, member: Any, known: frozenset[Any]) -> Any: ...
    def within(self, part: Any, text: Any) -> Any: ...
    def part(self, text: Any, ends: slice) -> Any: ...


CLOSURES = Closures()


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
    holds, names = built(text, fields, CLOSURES)
    return Expression(text, holds, names)


def built(text: str, fields: Mapping[str, Kind], algebra: Algebra) -> tuple[Any, frozenset[str]]:
    """What the algebra makes of it, and the fields it looks at. Raises as `compiled`."""
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
        made = _value(tree, algebra)
    except RuleSyntaxError as error:
        raise _malformed(text, error) from None
    except _Refused as error:
        raise _at(str(error), next(_symbols(error.node), names[0]), text) from None
    except (EngineError, DecimalException, ArithmeticError, TypeError, ValueError, RecursionError):
        name = (resolved or names)[-1]
        raise _at(f"{name!r} is {fields[name].value}, which does not fit here.", name, text) from None
    return made, frozenset(names)


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


def _of_kind(node: Any, kind: Kind, what: str, make: Algebra) -> Any:
    if _kind(node) is not kind:
        raise _Refused(f"{what} takes {kind.value}; this is {_kind(node).value}.", node)
    return _value(node, make)


def _value(node: Any, make: Algebra) -> Any:
    build = _BUILDERS.get(type(node))
    if build is None:
        raise _Refused("This cannot be used in a rule.", node)
    return build(node, make)


def _symbol(node: Any, make: Algebra) -> Any:
    return make.field(node.name)


def _literal(node: Any, make: Algebra) -> Any:
    return make.literal(_plain(node))


def _plain(node: Any) -> Any:
    if not isinstance(node, ast.FloatExpression):
        return node.value
    number = float(node.value)
    if not math.isfinite(number):
        raise _Refused("This number is too large.", node)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _logic(node: Any, make: Algebra) -> Any:
    left, right = (_of_kind(side, Kind.TRUTH, f"{node.type!r}", make) for side in (node.left, node.right))
    return make.both(left, right) if node.type == "and" else make.either(left, right)


def _comparison(node: Any, make: Algebra) -> Any:
    if _kind(node.left) is not _kind(node.right):
        raise _Refused(f"This compares {_kind(node.left).value} with {_kind(node.right).value}.", node)
    if _kind(node.left) is Kind.TRUTH and node.type not in ("eq", "ne"):
        raise _Refused("True or false has no order.", node)
    left = _value(node.left, make)
    if isinstance(node.right, ast.FloatExpression | ast.StringExpression):
        return make.comparison_with(node.type, left, _plain(node.right))
    return make.comparison(node.type, left, _value(node.right, make))


def _reckoning(node: Any, make: Algebra) -> Any:
    left, right = (_of_kind(side, Kind.NUMBER, "Arithmetic", make) for side in (node.left, node.right))
    return make.reckoning(node.type, left, right)


def _unary(node: Any, make: Algebra) -> Any:
    if node.type == "not":
        return make.negation(_of_kind(node.right, Kind.TRUTH, "'not'", make))
    return make.minus(_of_kind(node.right, Kind.NUMBER, "A minus sign", make))


def _contains(node: Any, make: Algebra) -> Any:
    if isinstance(node.container, ast.ArrayExpression | ast.SetExpression):
        kind, member = _kind(node.member), _value(node.member, make)
        for one in node.container.value:
            if not isinstance(one, ast.FloatExpression | ast.StringExpression) or _kind(one) is not kind:
                raise _Refused(f"A list to look {kind.value} up in holds nothing else.", node.member)
        return make.among(member, frozenset(map(_plain, node.container.value)))
    text, part = (_of_kind(side, Kind.TEXT, "'in'", make) for side in (node.container, node.member))
    return make.within(part, text)


def _slice(node: Any, make: Algebra) -> Any:
    text = _of_kind(node.container, Kind.TEXT, "A part in brackets", make)
    ends: list[int | None] = []
    for end in (node.start, node.stop):
        if isinstance(end, ast.FloatExpression):
            ends.append(int(end.value))
        elif end is None or getattr(end, "value", 0) is None:
            ends.append(None)
        else:
            raise _Refused("A part in brackets takes plain numbers.", node.container)
    return make.part(text, slice(*ends))


_BUILDERS: dict[type, Callable[[Any, Algebra], Any]] = {
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
