"""Pages along an index: a list goes on behind the key of its last row, however deep that lies.

A key is the value the list is ordered by (a number, or a time in microseconds) with the row's primary key.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

_KEY = re.compile(r"(-?\d{1,19})-(\d{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BIGINT = 2**63
Row = TypeVar("Row", bound=Model)


def beyond(
    rows: QuerySet[Row], column: str, key: tuple[Any, int] | None, *, descending: bool
) -> QuerySet[Row]:
    """Those behind a key in the order of `column` and primary key; all of them without one."""
    if key is None:
        return rows
    (value, pk), side = key, "lt" if descending else "gt"
    # The first condition alone bounds the walk along the index; the second leaves out the key's equals.
    strictly = Q(**{f"{column}__{side}": value}) | Q(**{f"pk__{side}": pk})
    return rows.filter(strictly, **{f"{column}__{side}e": value})


def as_key(value: datetime | int, pk: int) -> str:
    """As an address carries it."""
    number = (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value
    return f"{number}-{pk}"


def number_key(text: str) -> tuple[int, int] | None:
    """None for what is no key."""
    found = _KEY.fullmatch(text)
    if found is None or not -_BIGINT <= int(found[1]) < _BIGINT:
        return None
    return int(found[1]), int(found[2])


def time_key(text: str) -> tuple[datetime, int] | None:
    """None for what is no key, or lies outside the calendar."""
    key = number_key(text)
    try:
        return key and (_EPOCH + timedelta(microseconds=key[0]), key[1])
    except OverflowError:
        return None
