"""Statements for the hot path: many rows in each, several in one round trip, prepared once.

The ORM costs a third of a millisecond a statement, and PostgreSQL parses what it sends anew every time. Here
the text of a statement never changes with the number of rows, so that PostgreSQL keeps its plan: whatever is
many goes in as one JSON parameter. SQLite has no pipeline; there the same calls do the same, one statement
after the other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import orjson
from django.conf import settings
from django.db import connection, connections
from django.db.models import Model
from django.db.models.base import ModelState

from apps.core.pipeline import ask

ON_POSTGRES = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
Row = TypeVar("Row", bound=Model)
FOR_UPDATE = " FOR UPDATE" if ON_POSTGRES else ""  # SQLite has one lock, taken when a transaction begins


class Answered:
    """Rows of a statement; within a round trip they are there after it."""

    __slots__ = ("rows",)
    rows: list[Any]

    def fetchall(self) -> list[Any]:
        return self.rows


_trip = threading.local()


@contextmanager
def round_trip() -> Iterator[None]:
    """Send the statements inside together: PostgreSQL answers them in turn, and the first error ends all.

    Nothing is sent where an exception leaves the block. One inside another is part of it.
    """
    if not ON_POSTGRES or getattr(_trip, "asked", None) is not None:
        yield
        return
    asked = _trip.asked = []
    try:
        yield
    finally:
        _trip.asked = None
    if asked:
        _send(asked)


def run(statement: str, values: Sequence[Any] = ()) -> Answered:
    answer = Answered()
    if not ON_POSTGRES:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            answer.rows = cursor.fetchall()
        return answer
    if (asked := getattr(_trip, "asked", None)) is not None:
        asked.append((statement, values, answer))
    else:
        _send([(statement, values, answer)])
    return answer


def _send(asked: Sequence[tuple[str, Sequence[Any], Answered]]) -> None:
    wrapper = connections["default"]
    wrapper.ensure_connection()
    with wrapper.wrap_database_errors:
        found = ask(wrapper.connection, [(statement, values) for statement, values, _ in asked])
    for (_, _, answer), rows in zip(asked, found, strict=True):
        answer.rows = rows


def one_of(values: Sequence[Any], kind: str = "text") -> tuple[str, str]:
    """A condition for any number of values, and the one parameter it takes; `kind` as PostgreSQL's."""
    if not ON_POSTGRES:
        return "IN (SELECT value FROM json_each(%s))", json.dumps(values)
    return f"= ANY(ARRAY(SELECT value::{kind} FROM json_array_elements_text(%s::json)))", json.dumps(values)


def texts(values: Sequence[str]) -> tuple[str, str]:
    """A table for FROM with a row for each in its column `value`, and the one parameter it takes."""
    function = "json_array_elements_text(%s::json)" if ON_POSTGRES else "json_each(%s)"
    return f"{function} AS given", json.dumps(values)


def new_ids(model: type[Model], count: int) -> Answered:
    """Rows of one column: the next primary keys, in order, nobody else's from now on."""
    table = model._meta.db_table
    if ON_POSTGRES:
        return run("SELECT nextval(%s) FROM generate_series(1, %s)", [f"{table}_id_seq", count])
    last = "(SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = %s)"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    return run(f"{numbers} SELECT i + {last} FROM n", [count, table])


def insert(*groups: Sequence[Model]) -> None:
    """Add rows, those of each group of one model. Rows without a primary key do not get to know theirs."""
    groups = tuple(group for group in groups if group)
    if not ON_POSTGRES:
        for group in groups:
            type(group[0])._base_manager.bulk_create(group)
    elif groups:
        kinds = tuple((type(group[0]), group[0].pk is not None) for group in groups)
        statement, names = _insertion(kinds)
        run(statement, [_as_json(group, columns) for group, columns in zip(groups, names, strict=True)])


def new_row(model: type[Row], **values: Any) -> Row:
    """As `model(**values)`, at a third of its cost: values are taken as they are, and no signal is sent."""
    plain, made, related = _blank(model)
    row = model.__new__(model)
    row._state = ModelState()
    columns = row.__dict__
    columns.update(plain)
    for name, default in made:
        if name not in values:
            columns[name] = default()
    for name, value in values.items():
        if name in related:
            setattr(row, name, value)
        else:
            columns[name] = value
    return row


@cache
def _blank(
    model: type[Model],
) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]], frozenset[str]]:
    """What columns hold by themselves, those whose value is made anew each time, and names of relations."""
    fields = model._meta.local_concrete_fields
    called = [field for field in fields if field.has_default() and callable(field.default)]
    made = [(field.attname, field.default) for field in called]
    plain = {field.attname: field.get_default() for field in fields if field not in called}
    return plain, made, frozenset(field.name for field in fields if field.is_relation)


def _as_json(rows: Sequence[Model], columns: Sequence[tuple[str, str]]) -> str:
    given = [{column: getattr(row, name) for column, name in columns} for row in rows]
    for row in rows:
        row._state.adding, row._state.db = False, "default"
    return orjson.dumps(given, default=_plain).decode()


@cache
def _insertion(
    kinds: Sequence[tuple[type[Model], bool]],
) -> tuple[str, list[list[tuple[str, str]]]]:
    """The statement, and for each kind its columns with the attributes they are filled from."""
    parts, names = [], []
    for number, (model, with_key) in enumerate(kinds):
        fields = [field for field in model._meta.local_concrete_fields if with_key or not field.primary_key]
        columns = ", ".join(f'"{field.column}"' for field in fields)
        table = f'"{model._meta.db_table}"'
        given = f"json_populate_recordset(NULL::{table}, %s::json)"
        parts.append(f"g{number} AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM {given})")
        names.append([(str(field.column), field.attname) for field in fields])
    return f"WITH {', '.join(parts)} SELECT 1", names


def to_column(at: datetime) -> Any:
    """A time as a parameter."""
    return connection.ops.adapt_datetimefield_value(at)


def from_column(at: datetime) -> datetime:
    """A time as a statement answered it: SQLite keeps no zone with it."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _plain(value: Any) -> str:
    """Of what JSON has no word for, as PostgreSQL reads it back from a text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not written here")
