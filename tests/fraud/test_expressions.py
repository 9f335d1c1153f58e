"""A rule's condition: what is refused, where its fault is said to be, and that it means what it says."""

from __future__ import annotations

import decimal
import re
from pathlib import Path
from typing import Any

import pytest
import rule_engine
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.fraud.rules.expressions import LENGTH_MAX, TOKENS_MAX, Fault, Kind, compiled
from apps.fraud.rules.facts import FIELDS, KINDS
from ml.fraud.features import FEATURE_NAMES

FEW = {"hour": Kind.NUMBER, "amount": Kind.NUMBER, "mcc": Kind.TEXT, "country": Kind.TEXT, "seen": Kind.TRUTH}
OWN = 33  # a feature of the same name as one of these would hide it
FACTS = {"hour": 3, "amount": 1250, "mcc": "5411", "country": "BE", "seen": True}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("amount >= 1250 and hour < 6", True),
        ('mcc in ["5411", "5412"] or hour > 20', True),
        ('mcc in {"7995"}', False),
        ('not (country == "BE")', False),
        ('mcc[:2] == "54" and mcc[2:] == "11"', True),
        ('"E" in country', True),
        ("-amount / 10 + 5 * 2 - 1 < -100", True),
        ("amount % 100 == 50", True),
        ("seen == true and not not seen", True),
        ("seen\nand hour == 3", True),
    ],
)
def test_it_works(text: str, says: bool) -> None:
    assert compiled(text, FEW).holds(FACTS) is says


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("hour > 3 and amout > 5", 13, "There is no field 'amout'. Is it 'amount'?"),
        ("hour > 3 and mcc > 5", 13, "'mcc' is text, which does not fit here."),
        ("hour > 3 and mcc == 5411", 13, "This compares text with a number."),
        ('hour > 3 and mcc in ["a", 3]', 13, "A list to look text up in holds nothing else."),
        ("hour > 3 and amount", 13, "'and' takes true or false; this is a number."),
        ("amount + 3", 0, "A condition must be true or false, and this is a number."),
        ("seen > false", 0, "True or false has no order."),
        ("hour >", 6, "It ends too soon."),
        ("hour > > 3", 7, "'>' is not expected here."),
        ("hour @ 3", 5, "'@' is not expected here."),
        ("1 == 1", 0, "This names no field, so it would fire always or never."),
    ],
)
def test_a_fault_is_found_with_its_place(text: str, at: int, message: str) -> None:
    with pytest.raises(Fault) as found:
        compiled(text, FEW)
    assert (found.value.at, found.value.message) == (at, message)


@pytest.mark.parametrize(
    "text",
    [
        'mcc =~ "(a+)+$"', 'mcc !~~ "x"', "mcc.__class__ == mcc", "mcc.length > 3", "$now > $today",
        "$sum([hour]) > 1",
        "hour(3) > 1", "1 << 99999999999 > hour", "2 ** 9999999999 > hour", "hour | 1 > 2", "hour > inf",
        "hour > nan",
        "[x for x in mcc]", 'd"2020-01-01" > hour', 'b"x" == mcc', "mcc == null", "hour > 3 ? seen : seen",
        "hour > 3 # so", "{1: 2} == hour", "mcc[hour:] == country", "mcc[0] == country", "1e999 > hour",
        "1 / 0 > hour",
    ],
)  # fmt: skip
def test_what_reaches_further_or_costs_more_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        compiled(text, FEW)


def test_length_and_words_are_bounded() -> None:
    with pytest.raises(Fault, match="Longer"):
        compiled("seen or " * 80 + "seen", FEW)
    with pytest.raises(Fault, match="More than"):
        compiled("-" * TOKENS_MAX + "hour > 1", FEW)
    longest = " or ".join(["seen"] * (TOKENS_MAX // 2))
    assert len(longest) > LENGTH_MAX  # so that words come first only for short ones
    deep = "-" * (TOKENS_MAX - 3) + "hour > 1"
    assert compiled(deep, FEW).holds(FACTS) is False


NUMBERS = st.recursive(
    st.one_of(st.sampled_from(["hour", "amount"]), st.integers(0, 3000).map(str)),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=4,
)
TEXTS = st.one_of(st.sampled_from(["mcc", "country", "mcc[:2]"]), st.sampled_from(['"5411"', '"54"', '"BE"']))
SIMPLE = st.one_of(
    st.just("seen"),
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map(" ".join),
    st.tuples(TEXTS, st.sampled_from(["==", "!=", "in"]), TEXTS).map(" ".join),
    st.tuples(TEXTS, st.just('in ["5411", "BE", "x"]')).map(" ".join),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    ),
    max_leaves=5,
)
VALUES = st.fixed_dictionaries(
    {
        "hour": st.integers(0, 23),
        "amount": st.integers(0, 3000),
        "mcc": st.sampled_from(["5411", "7995", ""]),
        "country": st.sampled_from(["BE", "US", ""]),
        "seen": st.booleans(),
    }
)


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, VALUES)
def test_the_closures_say_what_the_library_says(text: str, values: dict[str, Any]) -> None:
    try:
        ours = compiled(text, FEW)
    except Fault as fault:
        assert "names no field" in fault.message or len(text) > LENGTH_MAX or "More than" in fault.message
        return
    theirs = rule_engine.Rule(text, rule_engine.Context(decimal_context=decimal.Context(prec=28)))
    assert ours.holds(values) is theirs.matches(values)


def test_every_feature_is_a_field_and_no_name_means_two_things() -> None:
    assert set(FEATURE_NAMES) < set(FIELDS)
    assert len(FIELDS) == len(FEATURE_NAMES) + OWN
    assert all(name.isidentifier() for name in KINDS)
    assert "card_token" not in FIELDS
    assert "score" not in FIELDS


def test_every_field_is_in_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/rules.md").read_text()
    told = {name: kind for name, kind in re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", page, re.M)}
    own = {name: field for name, field in FIELDS.items() if name not in FEATURE_NAMES}
    assert told == {name: field.kind.value.removeprefix("a ") for name, field in own.items()}
