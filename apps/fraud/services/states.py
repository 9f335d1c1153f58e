"""Lock the running states a batch touches, and write them back. Always sites, then cards, then
terminals, each in key order: two workers that want the same keys wait, and never for each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Max
from psycopg.types.numeric import Int8

from apps.core.clock import now
from apps.core.sql import FOR_UPDATE, ON_POSTGRES, Answered, one_of, round_trip, run, texts
from apps.fraud.models import CardState, Decision, HeardLater, KeyState, TerminalState

_UPDATE = "UPDATE {table} SET state = %s, artefact_hash = %s, version = version + 1 WHERE id = %s"
# The rows are there and ours. An insertion that always meets them finds each by its index, while an update of
# many may read the whole table for them. Arrays, and not JSON, which knows no bytes.
_UPSERT = """
INSERT INTO {table} (id, site_id, key, state, artefact_hash, version)
SELECT pk, %s, key, state, writer, 0
FROM unnest(%b::bigint[], %b::text[], %b::bytea[], %b::text[]) AS given(pk, key, state, writer)
ON CONFLICT (id) DO UPDATE
SET state = excluded.state, artefact_hash = excluded.artefact_hash, version = {table}.version + 1
"""
_LOCK_NOT_HAD = frozenset({"55P03", "40P01"})  # PostgreSQL: lock_not_available, deadlock_detected


class Busy(Exception):
    """Somebody else held a lock for longer than we may wait; nothing of the transaction is kept."""


@contextmanager
def hurried(wait_s: float) -> Iterator[None]:
    """A transaction that raises Busy where a lock was not had: on PostgreSQL within what `limit_waits` says.

    SQLite has one lock for all that write, and takes it when the transaction begins.
    """
    try:
        if not ON_POSTGRES:
            run(f"PRAGMA busy_timeout = {_ms(wait_s)}")
        with transaction.atomic():
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") in _LOCK_NOT_HAD or "database is locked" in str(error):
            raise Busy from None
        raise
    finally:
        if not ON_POSTGRES and connection.connection is not None:
            usual_s = settings.DATABASES["default"].get("OPTIONS", {}).get("timeout", 30)
            run(f"PRAGMA busy_timeout = {int(usual_s * 1000)}")


def limit_waits(wait_s: float) -> None:
    """In the first round trip of a `hurried` transaction."""
    if ON_POSTGRES:
        run(f"SET LOCAL lock_timeout = {_ms(wait_s)}")


def _ms(wait_s: float) -> int:
    return max(1, int(wait_s * 1000))


@dataclass(frozen=True, slots=True)
class Held:
    """A state's row, ours until the transaction ends. No bytes where nothing was written to it yet."""

    pk: int
    state: bytes
    artefact_hash: str


Locked = tuple[dict[str, Held], dict[str, Held]]


def lock_states(site_id: int, cards: Iterable[str], terminals: Iterable[str]) -> Locked:
    """The states of these cards and of these terminals by key."""
    with round_trip():
        asked = ask_states(site_id, cards, terminals)
    return held(asked)


def ask_states(site_id: int, cards: Iterable[str], terminals: Iterable[str]) -> tuple[Answered, Answered]:
    """Lock them, made empty where there was none; read with `held` after the round trip."""
    return _ask(CardState, site_id, cards), _ask(TerminalState, site_id, terminals)


def held(asked: tuple[Answered, Answered]) -> Locked:
    cards, terminals = (
        {key: Held(pk, bytes(state), writer) for pk, key, state, writer in one.fetchall()} for one in asked
    )
    return cards, terminals


def _ask(model: type[KeyState], site_id: int, keys: Iterable[str]) -> Answered:
    ordered, table = sorted(set(keys)), model._meta.db_table
    given, wanted = texts(ordered)
    run(
        f"INSERT INTO {table} (site_id, key, state, artefact_hash, version) SELECT %s, value, %s, '', 0"
        f" FROM {given} WHERE true ON CONFLICT (site_id, key) DO NOTHING",
        [site_id, b"", wanted],
    )
    among, wanted = one_of(ordered)
    return run(
        f"SELECT id, key, state, artefact_hash FROM {table} WHERE site_id = %s AND key {among} ORDER BY key"
        f"{FOR_UPDATE}",
        [site_id, wanted],
    )


def readable(rows: Mapping[str, Held]) -> dict[str, bytes]:
    """The states by key, without those nothing was written to yet."""
    return {key: row.state for key, row in rows.items() if row.state}


def store_states(
    model: type[KeyState],
    site_id: int,
    rows: Mapping[str, Held],
    states: Mapping[str, bytes],
    artefact_hash: str | None = None,
) -> None:
    """`artefact_hash`: whose network moved them; None where none did."""
    changed = []
    for key, state in states.items():
        row = rows[key]
        writer = row.artefact_hash if artefact_hash is None else artefact_hash
        if row.state != state or row.artefact_hash != writer:
            changed.append((Int8(row.pk), key, state, writer))
    if changed and ON_POSTGRES:
        run(_UPSERT.format(table=model._meta.db_table), [site_id, *map(list, zip(*changed, strict=True))])
        return
    for pk, _, state, writer in changed:
        run(_UPDATE.format(table=model._meta.db_table), [state, writer, pk])


def heard(rows: Iterable[HeardLater]) -> None:
    """Keep what the states just heard of, and when, so that they can be made again. Under their locks."""
    last, at = Decision.objects.aggregate(last=Max("pk"))["last"] or 0, now()
    rows = list(rows)
    for row in rows:
        row.after_decision, row.at = last, at
    HeardLater.objects.bulk_create(rows)
