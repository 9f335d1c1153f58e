"""Statements for the hot path: many rows in each, several in one round trip, prepared once.

The ORM costs a third of a millisecond a statement, and PostgreSQL parses what it sends anew every time. Here
the text of a statement never changes with the number of rows, so that PostgreSQL keeps its plan. SQLite knows
neither pipelines nor arrays; there the same calls do the same, one statement after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Protocol
from uuid import UUID

import psycopg
from django.db import connection
from django.db.models import Model


class Answered(Protocol):
    """Rows of a statement; within a round trip they are to be read after it."""

    def fetchall(self) -> list[Any]: ...


@contextmanager
def round_trip() -> Iterator[None]:
    """Send the statements inside together: PostgreSQL answers them in turn, and the first error ends all."""
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def run(statement: str, values: Sequence[Any] = ()) -> Answered:
    if connection.vendor != "postgresql":
        cursor = connection.cursor()
        cursor.execute(statement, values)
        return cursor
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return psycopg.Cursor(connection.connection).execute(statement, values)


def one_of(values: Sequence[Any]) -> tuple[str, Any]:
    """A condition for any number of values, and the one parameter it takes."""
    if connection.vendor != "postgresql":
        return "IN (SELECT value FROM json_each(%s))", json.dumps(values)
    return "= ANY(%s)", list(values)


def table_of(*columns: Sequence[Any], types: str) -> tuple[str, list[Any]]:
    """A table of these columns for FROM, called g(a, b, ...), and its parameters; types as PostgreSQL's."""
    names = [chr(ord("a") + at) for at in range(len(columns))]
    if connection.vendor != "postgresql":
        # Rows as values: SQLite's JSON knows no bytes.
        rows = list(zip(*columns, strict=True)) or [(None,) * len(columns)]
        one = f"({', '.join(['%s'] * len(columns))})"
        given = f"(SELECT {', '.join(f'column{at + 1} AS {name}' for at, name in enumerate(names))}"
        return f"{given} FROM (VALUES {', '.join([one] * len(rows))})) AS g", [v for row in rows for v in row]
    arrays = ", ".join(f"%s::{kind}[]" for kind in types.split())
    return f"unnest({arrays}) AS g({', '.join(names)})", [list(column) for column in columns]


def for_update() -> str:
    """SQLite has no row locks: its transactions take the only lock there is when they begin."""
    return " FOR UPDATE" if connection.vendor == "postgresql" else ""


def new_ids(model: type[Model], count: int) -> Answered:
    """Rows of one column: the next primary keys, in order, nobody else's from now on."""
    table = model._meta.db_table
    if connection.vendor == "postgresql":
        sequence = "nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
        return run(f"SELECT {sequence}", [table, count])
    last = "(SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = %s)"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    return run(f"{numbers} SELECT i + {last} FROM n", [count, table])


def insert(objects: Sequence[Model]) -> None:
    """Add rows of one model. Where the first has no primary key yet, none of them gets to know its own."""
    if not objects:
        return
    model = type(objects[0])
    if connection.vendor != "postgresql":
        model._base_manager.bulk_create(objects)
        return
    statement, names = _insertion(model, objects[0].pk is not None)
    rows = [{column: getattr(row, name) for column, name in names} for row in objects]
    run(statement, [json.dumps(rows, default=_plain, allow_nan=False)])
    for row in objects:
        row._state.adding, row._state.db = False, connection.alias


@cache
def _insertion(model: type[Model], with_key: bool) -> tuple[str, list[tuple[str, str]]]:
    """The statement, and each column with the attribute it is filled from."""
    fields = [field for field in model._meta.local_concrete_fields if with_key or not field.primary_key]
    names = [(str(field.column), field.attname) for field in fields]
    columns = ", ".join(f'"{column}"' for column, _ in names)
    table = f'"{model._meta.db_table}"'
    given = f"json_populate_recordset(NULL::{table}, %s::json)"
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {given}", names


def to_column(at: datetime) -> Any:
    """A time as a parameter."""
    return connection.ops.adapt_datetimefield_value(at)


def from_column(at: datetime) -> datetime:
    """A time as a statement answered it: SQLite keeps no zone with it."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _plain(value: Any) -> str:
    """As PostgreSQL reads it back from a text."""
    if isinstance(value, date):  # and a datetime, which is one
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not written here")
