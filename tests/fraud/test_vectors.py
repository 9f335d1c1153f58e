"""Conditions over columns say what the same conditions say of one event after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.fraud.backtests.vectors import Column, condition, text_column
from apps.fraud.rules.expressions import Fault, Kind, compiled
from tests.fraud.test_expressions import CONDITIONS, FEW, VALUES

FAILING = st.tuples(
    st.sampled_from(["hour", "amount", "3"]), st.sampled_from("/%"), st.sampled_from(["hour", "0", "amount"]),
    st.sampled_from(["<", ">=", "=="]), st.sampled_from(["1", "amount"]),
).map(" ".join)  # fmt: skip
ANY = st.one_of(
    CONDITIONS,
    FAILING,
    st.tuples(FAILING, st.sampled_from(["and", "or"]), CONDITIONS).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    st.tuples(CONDITIONS, st.sampled_from(["and", "or"]), FAILING).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
)


def columns_of(rows: list[dict[str, Any]]) -> dict[str, Column]:
    return {
        name: text_column([row[name] for row in rows])
        if kind is Kind.TEXT
        else Column(np.array([row[name] for row in rows], bool if kind is Kind.TRUTH else np.float64))
        for name, kind in FEW.items()
    }


def one_by_one(holds: Any, row: dict[str, Any]) -> bool | None:
    """None where it cannot be worked out."""
    try:
        return bool(holds(row))
    except ZeroDivisionError:
        return None


@settings(max_examples=600, deadline=None)
@given(ANY, st.lists(VALUES, min_size=1, max_size=6))
def test_it_says_of_many_what_it_says_of_each(text: str, rows: list[dict[str, Any]]) -> None:
    try:
        alone = compiled(text, FEW)
    except Fault:
        return
    fires, failed = condition(text, FEW).fires(columns_of(rows), len(rows))
    said = [one_by_one(alone.holds, row) for row in rows]
    assert [None if bad else bool(good) for good, bad in zip(fires, failed, strict=True)] == said


@pytest.mark.parametrize(
    ("text", "fires", "failed"),
    [
        ("amount / hour > 100", [False, True], [True, False]),
        ("hour > 0 and amount / hour > 100", [False, True], [False, False]),
        ("hour == 0 or amount / hour > 100", [True, True], [False, False]),
        ('mcc[:2] == "54" and country in ["BE"]', [True, False], [False, False]),
        ('"4" in mcc', [True, False], [False, False]),
        ('mcc in "5411 7777"', [True, False], [False, False]),
    ],
)
def test_what_cannot_be_worked_out_counts_only_where_it_is_looked_at(text, fires, failed) -> None:
    rows = [
        {"hour": 0, "amount": 500, "mcc": "5411", "country": "BE", "seen": True},
        {"hour": 2, "amount": 500, "mcc": "7995", "country": "BE", "seen": False},
    ]
    got = condition(text, FEW).fires(columns_of(rows), 2)
    assert [one.tolist() for one in got] == [fires, failed]


def test_of_no_events() -> None:
    fires, failed = condition('mcc in ["5411"] and hour > 3 and country != mcc', FEW).fires(columns_of([]), 0)
    assert (len(fires), len(failed)) == (0, 0)
