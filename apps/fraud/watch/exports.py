"""Any list as CSV or Parquet: streamed, no longer than ROWS_MAX, written to the audit before the first row.

columns = (Column("event_id", TEXT, lambda row: row.transaction.event_id), ...)
return export("events", "csv", columns, rows, user=user, detail={"since": "..."})
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import LynceusError

ROWS_MAX = 100_000
GROUP = 5_000  # rows that are held at a time
TEXT, INTEGER, NUMBER, BOOLEAN, TIME = "text", "integer", "number", "boolean", "time"
# What makes a spreadsheet take a text for a formula (OWASP, CSV injection), also in its full-width forms.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
PASSED_OVER = "".join(map(chr, range(33))) + "\u00a0\u3000\ufeff"
MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True, slots=True)
class Column:
    """`of` makes a row's value: str, int, float, bool or an aware datetime as `kind` says, or None."""

    name: str
    kind: str
    of: Callable[[Any], Any]


def export(
    name: str,
    form: str,
    columns: Sequence[Column],
    rows: QuerySet[Any] | Sequence[Any],
    *,
    user: User,
    detail: Mapping[str, Any],
    each: Callable[[Iterator[Any]], Iterator[Any]] = iter,
) -> HttpResponse:
    """A download of `form` csv or parquet. `detail` says in the audit what of the list was asked for, `each`
    adds to the rows on their way what is not in the query.

    LynceusError 422 where there are more than ROWS_MAX rows: a list that was cut off looks like a whole one.
    """
    if _more_than(rows, ROWS_MAX):
        raise LynceusError(
            "export_too_large",
            f"There are more than {ROWS_MAX:,} rows: choose a shorter time or fewer of them.",
            status=422,
        )
    record(f"{name}.exported", site=user.site, actor=user, detail={"form": form, **detail})
    walk = rows[:ROWS_MAX].iterator(chunk_size=GROUP) if isinstance(rows, QuerySet) else iter(rows)
    write = _parquet if form == "parquet" else _csv
    response = StreamingHttpResponse(write(columns, each(walk)), content_type=MEDIA[form])
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    response["Cache-Control"] = "no-store"
    return response  # type: ignore[return-value]


def _more_than(rows: QuerySet[Any] | Sequence[Any], most: int) -> bool:
    """Of a query no more is counted than is needed to know."""
    if isinstance(rows, QuerySet):
        return rows.order_by().values("pk")[: most + 1].count() > most
    return len(rows) > most


def _csv(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([_cell(column.of(row)) for column in columns])
        if buffer.tell() > 65_536:
            yield _drained(buffer)
    yield _drained(buffer)


def _drained(buffer: io.StringIO) -> bytes:
    content = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return content


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return "" if value is None else value


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe before what could be one.

    Spreadsheets pass over white space and control characters at its beginning, so these do not help.
    """
    suspect = text.lstrip(PASSED_OVER).startswith(FORMULA) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if suspect else text


def _parquet(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[bytes]:
    """Row group by row group: the file's footer comes last, so that it need never be held whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        TEXT: pa.string(), INTEGER: pa.int64(), NUMBER: pa.float64(), BOOLEAN: pa.bool_(),
        TIME: pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    sink = _Sink()
    rest = iter(rows)
    with pq.ParquetWriter(sink, schema, compression="snappy") as writer:
        while group := list(islice(rest, GROUP)):
            arrays = [
                pa.array([column.of(row) for row in group], type=field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.drained()
    yield sink.drained()


class _Sink(io.RawIOBase):
    """What was written since it was asked last, at a place that only grows."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def drained(self) -> bytes:
        content, self._parts = b"".join(self._parts), []
        return content
