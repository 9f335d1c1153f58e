"""Lock the running states a batch touches, and write them back. Always sites, then keys, in their order:
two workers that want the same keys wait, and never for each other."""

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
from apps.fraud.models import Decision, HeardLater
from ml.fraud.memory import CARD

_UPDATE = "UPDATE fraud_keystate SET state = %s, artefact_hash = %s, version = version + 1 WHERE id = %s"
# The rows are there and ours. An insertion that always meets them finds each by its index, while an update of
# many may read the whole table for them. Arrays, and not JSON, which knows no bytes.
_UPSERT = """
INSERT INTO fraud_keystate (id, site_id, key, state, artefact_hash, version)
SELECT pk, %s, key, state, writer, 0
FROM unnest(%b::bigint[], %b::text[], %b::bytea[], %b::text[]) AS given(pk, key, state, writer)
ON CONFLICT (id) DO UPDATE
SET state = excluded.state, artefact_hash = excluded.artefact_hash, version = fraud_keystate.version + 1
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


Locked = dict[str, Held]


def lock_states(site_id: int, keys: Iterable[str]) -> Locked:
    """The states by key."""
    with round_trip():
        asked = ask_states(site_id, keys)
    return held(asked)


def held(asked: Answered) -> Locked:
    return {key: Held(pk, bytes(state), writer) for pk, key, state, writer in asked.fetchall()}


def ask_states(site_id: int, keys: Iterable[str]) -> Answered:
    """Lock them, made empty where there was none; read with `held` after the round trip."""
    ordered = sorted(set(keys))
    given, wanted = texts(ordered)
    run(
        "INSERT INTO fraud_keystate (site_id, key, state, artefact_hash, version) SELECT %s, value, %s, '', 0"
        f" FROM {given} WHERE true ON CONFLICT (site_id, key) DO NOTHING",
        [site_id, b"", wanted],
    )
    among, wanted = one_of(ordered)
    return run(
        "SELECT id, key, state, artefact_hash FROM fraud_keystate"
        f" WHERE site_id = %s AND key {among} ORDER BY key{FOR_UPDATE}",
        [site_id, wanted],
    )


def readable(rows: Mapping[str, Held]) -> dict[str, bytes]:
    """The states by key, without those nothing was written to yet."""
    return {key: row.state for key, row in rows.items() if row.state}


def store_states(
    site_id: int, rows: Mapping[str, Held], states: Mapping[str, bytes], artefact_hash: str | None = None
) -> None:
    """`artefact_hash`: whose network moved the cards' memory; None where none did."""
    changed = []
    for key, state in states.items():
        row = rows[key]
        moved = artefact_hash is not None and key.startswith(CARD)
        writer = artefact_hash if moved else row.artefact_hash
        if row.state != state or row.artefact_hash != writer:
            changed.append((Int8(row.pk), key, state, writer))
    if changed and ON_POSTGRES:
        run(_UPSERT, [site_id, *map(list, zip(*changed, strict=True))])
        return
    for pk, _, state, writer in changed:
        run(_UPDATE, [state, writer, pk])


def heard(rows: Iterable[HeardLater]) -> None:
    """Keep what the states just heard of, and when, so that they can be made again. Under their locks."""
    last, at = Decision.objects.aggregate(last=Max("pk"))["last"] or 0, now()
    rows = list(rows)
    for row in rows:
        row.after_decision, row.at = last, at
    HeardLater.objects.bulk_create(rows)
