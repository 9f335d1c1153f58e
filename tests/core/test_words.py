"""One of a thing is never several: what is counted is said by `counted`, in pages and in messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from django.template.loader import render_to_string

from apps.core.words import counted

ROOT = Path(__file__).resolve().parents[2]
# What follows a number and is no noun, or a unit.
NO_NOUN = {
    "as", "belongs", "calls", "decides", "does", "follows", "goes", "has", "holds", "is", "its", "less",
    "listens", "ms", "needs", "pixels", "reads", "remembers", "says", "serves", "stands", "takes", "unless",
    "waits", "was",
}  # fmt: skip
# Numbers that are never one: fixed ones, and those that another sentence is written for where they are.
NEVER_ONE = {
    "disposition_fields.html: settle.fields.alert.choices|length open alerts",
    "cross_validation.html: crossed.folds folds",
    "cross_validations.html: one.folds folds",
    "export.html: kept_days days",
    "exports.html: kept_days days",
    "lookers.html: one.times times",
    "operating_point.html: alone_hours|floatformat:0 hours",
    "quality.html: enough cases",
    "shadow_calls.html: enough films",
    "rows.html: looked_back|intcomma decisions",
    "work_rows.html: item.alert_count alerts",
    "worklist.html: archive_days days",
    "budget.py: kind days",  # the kind of days
    "freezes.py: domain.name datasets",  # a name
    "retraining.py: job.pk of this",  # its number
    "export_version.py: out exists",  # a path
    "cards.py: ages[1] years",
    'comparison.html: points|floatformat:"-1" points',
    "card_events.py: seconds / 86400 days",
    "reason_values.py: seconds / 86400 days",
    "disposition_views.py: int(UNDO.total_seconds() // 60) minutes",
    "dispositions.py: minutes minutes",
    "waits.py: minutes // 1440 days",
}
IN_PAGE = re.compile(r"\{\{\s*([^}]*?)\s*\}\}(?:</\w+>)?\s+((?:[a-z-]+ )?[a-z]+s)\b(?!\{)")
IN_MESSAGE = re.compile(r" ((?:[a-z-]+ )?[a-z]+s)\b")
CONSTANT = re.compile(r"\b[A-Z][A-Z_]+\b")


def of_page(text: str) -> Iterator[str]:
    """What is written as several after a number in a template."""
    for number, noun in IN_PAGE.findall(text):
        if not NO_NOUN.intersection(noun.split()) and "pluralize" not in number:
            yield f"{number} {noun}"


def of_module(text: str) -> Iterator[str]:
    """The same of f-strings, of numbers that are no constant."""
    written = [node.values for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr)]
    for value, after in (pair for values in written for pair in pairwise(values)):
        if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
            number, noun = ast.unparse(value.value), IN_MESSAGE.match(str(after.value))
            if noun and not NO_NOUN.intersection(noun[1].split()) and not _is_constant(number):
                yield f"{number} {noun[1]}"


def _is_constant(number: str) -> bool:
    return bool(CONSTANT.search(number)) and "UNDO" not in number


def test_no_page_and_no_message_says_several_of_one() -> None:
    found = {
        f"{one.name}: {said}"
        for one in (ROOT / "templates").rglob("*.html")
        for said in of_page(one.read_text())
    }
    for one in (ROOT / "apps").rglob("*.py"):
        found |= {f"{one.name}: {said}" for said in of_module(one.read_text())}
    assert found == NEVER_ONE


def test_one_that_does_would_be_found() -> None:
    page = '<b>{{ page.count }}</b> cases, {{ x }} is, {{ n|counted:"day" }}'
    assert list(of_page(page)) == ["page.count cases"]
    assert list(of_module("f'{n:,} rows of {LIMIT} rows; {name} is there'")) == ["n rows"]


@pytest.mark.parametrize(("n", "says"), [(0, "0 studies"), (1, "1 study"), (1204, "1,204 studies")])
def test_as_many_as_there_are(n: int, says: str) -> None:
    assert counted(n, "study", "studies") == says
    page = {"paginator": {"count": n, "num_pages": 1}, "number": 1}
    shown = render_to_string("components/pagination.html", {"page": page, "noun": "study,studies"})
    assert f"Page 1 of 1, {says}<" in shown
