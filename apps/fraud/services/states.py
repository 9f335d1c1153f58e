"""Lock the running states a batch touches, and write them back. Always sites, then cards, then
terminals, each in key order: two workers that want the same keys wait, and never for each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Max

from apps.core.clock import now
from apps.fraud.models import Decision, HeardLater, KeyState

State = TypeVar("State", bound=KeyState)
_LOCK_NOT_HAD = frozenset({"55P03", "40P01"})  # PostgreSQL: lock_not_available, deadlock_detected


class Busy(Exception):
    """Somebody else held a lock for longer than we may wait; nothing of the transaction is kept."""


@contextmanager
def hurried(wait_s: float) -> Iterator[None]:
    """A transaction that waits `wait_s` for a lock and then raises Busy.

    SQLite has one lock for all that write, and takes it when the transaction begins.
    """
    wait_ms = max(1, int(wait_s * 1000))
    on_sqlite = connection.vendor == "sqlite"
    try:
        if on_sqlite:
            _run(f"PRAGMA busy_timeout = {wait_ms}")
        with transaction.atomic():
            if not on_sqlite:
                _run(f"SET LOCAL lock_timeout = {wait_ms}")
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") in _LOCK_NOT_HAD or "database is locked" in str(error):
            raise Busy from None
        raise
    finally:
        if on_sqlite and connection.connection is not None:
            usual_s = settings.DATABASES["default"].get("OPTIONS", {}).get("timeout", 30)
            _run(f"PRAGMA busy_timeout = {int(usual_s * 1000)}")


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def lock_states(model: type[State], site_id: int, keys: Iterable[str]) -> dict[str, State]:
    """The states by key, made empty where there was none, locked until the transaction ends."""
    ordered = sorted(set(keys))
    states = model._default_manager.filter(site_id=site_id, key__in=ordered)
    known = set(states.values_list("key", flat=True))
    if fresh := [key for key in ordered if key not in known]:
        made: list[Any] = [model(site_id=site_id, key=key) for key in fresh]
        model._default_manager.bulk_create(made, ignore_conflicts=True)
    return {row.key: row for row in states.select_for_update().order_by("key")}


def readable(rows: Mapping[str, KeyState]) -> dict[str, bytes]:
    """The states by key, without those nothing was written to yet."""
    return {key: bytes(row.state) for key, row in rows.items() if row.state}


def store_states(
    model: type[State],
    rows: Mapping[str, State],
    states: Mapping[str, bytes],
    artefact_hash: str | None = None,
) -> None:
    """`artefact_hash`: whose network moved them; None where none did."""
    changed = []
    for key, state in states.items():
        row = rows[key]
        writer = row.artefact_hash if artefact_hash is None else artefact_hash
        if bytes(row.state) != state or row.artefact_hash != writer:
            row.state, row.artefact_hash, row.version = state, writer, row.version + 1
            changed.append(row)
    # The rows are there and ours: an insert that always meets them is a third of the cost of an update.
    model._default_manager.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["state", "artefact_hash", "version"],
    )


def heard(rows: Iterable[HeardLater]) -> None:
    """Keep what the states just heard of, and when, so that they can be made again. Under their locks."""
    last, at = Decision.objects.aggregate(last=Max("pk"))["last"] or 0, now()
    rows = list(rows)
    for row in rows:
        row.after_decision, row.at = last, at
    HeardLater.objects.bulk_create(rows)
