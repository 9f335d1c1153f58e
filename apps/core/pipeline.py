"""Several prepared statements to PostgreSQL in one round trip.

psycopg's own pipeline looks at the socket for every statement it is given, which costs more than sending it.
Here all of them go into libpq's buffer first, and the socket is looked at once. It stands on psycopg's public
wrapper of libpq (`psycopg.pq`) and on its loaders; transactions, errors and reconnecting stay psycopg's.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from psycopg import Connection
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import READY_R, WAIT_R, WAIT_RW, Ready, Wait

Asked = tuple[str, Sequence[Any]]
GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
PLAIN, ROWS = b"", None
_PLACE = re.compile(r"%([sb])")
_prepared: WeakKeyDictionary[Connection[Any], set[bytes]] = WeakKeyDictionary()


class Prepared(NamedTuple):
    name: bytes
    text: bytes
    places: list[PyFormat]
    formats: list[Format]


def ask(connection: Connection[Any], asked: Sequence[Asked]) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement. Raises the first error, after which the others were not looked at.

    Parameters are `%s` or, to go in binary, `%b`, and of the type the statement's place has: no type is sent
    with them. Begins a transaction where psycopg would.
    """
    known = _prepared.setdefault(connection, set())
    pgconn = connection.pgconn
    with connection.lock:
        pgconn.enter_pipeline_mode()
        try:
            sent = _send(connection, pgconn, asked, known)
            answers = connection.wait(_exchange(pgconn))
            pgconn.exit_pipeline_mode()
        except BaseException:
            pgconn.finish()  # half an exchange is behind it: it is of no use any more
            raise
    return _rows(connection, sent, answers, known)


def _send(
    connection: Connection[Any], pgconn: PGconn, asked: Sequence[Asked], known: set[bytes]
) -> list[bytes | None]:
    """Everything into the buffer. For each answer to come the name of what it prepares, or PLAIN or ROWS."""
    sent: list[bytes | None] = []
    if not connection.autocommit and pgconn.transaction_status == TransactionStatus.IDLE:
        pgconn.send_query_params(b"BEGIN", None)
        sent.append(PLAIN)
    for text, values in asked:
        one = _prepare(text)
        if one.name not in known and one.name not in sent:
            pgconn.send_prepare(one.name, one.text)
            sent.append(one.name)
        given = Transformer(connection).dump_sequence(values, one.places)
        pgconn.send_query_prepared(one.name, given, one.formats, Format.BINARY)
        sent.append(ROWS)
    pgconn.pipeline_sync()
    return sent


@cache
def _prepare(text: str) -> Prepared:
    """As libpq wants it; the texts are few and never change."""
    kinds = _PLACE.findall(text)
    numbers = iter(range(1, len(kinds) + 1))
    return Prepared(
        b"lynceus_" + sha256(text.encode()).hexdigest()[:24].encode(),
        _PLACE.sub(lambda _: f"${next(numbers)}", text).encode(),
        [PyFormat.BINARY if kind == "b" else PyFormat.TEXT for kind in kinds],
        [Format.BINARY if kind == "b" else Format.TEXT for kind in kinds],
    )


def _exchange(pgconn: PGconn) -> Generator[Wait, Ready | int, list[PGresult]]:
    answers: list[PGresult] = []
    unsent = pgconn.flush()
    while True:
        ready = yield WAIT_RW if unsent else WAIT_R
        if ready & READY_R:
            pgconn.consume_input()
        if unsent:
            unsent = pgconn.flush()
        while not pgconn.is_busy():
            answer = pgconn.get_result()
            if answer is None:
                continue  # between two statements
            if answer.status == ExecStatus.PIPELINE_SYNC:
                return answers
            answers.append(answer)


def _rows(
    connection: Connection[Any],
    sent: Sequence[bytes | None],
    answers: Sequence[PGresult],
    known: set[bytes],
) -> list[list[tuple[Any, ...]]]:
    rows = []
    for what, answer in zip(sent, answers, strict=True):
        if answer.status not in GOOD:
            raise error_from_result(answer, encoding=connection.info.encoding)
        if what is ROWS:
            transformer = Transformer(connection)
            transformer.set_pgresult(answer)
            rows.append(transformer.load_rows(0, answer.ntuples, tuple))
        elif what is not PLAIN:
            known.add(what)
    return rows
