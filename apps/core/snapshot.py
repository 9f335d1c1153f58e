"""What may still be written by transactions that began long ago."""

from __future__ import annotations

from apps.core.sql import ON_POSTGRES, run


def transactions() -> tuple[int, int]:
    """(this one's number, the smallest of those still open). Numbers are handed out in the order in which
    transactions first write; with SQLite, where they write one after the other, both are always 1."""
    if not ON_POSTGRES:
        return 1, 1
    [(own, oldest)] = run(
        "SELECT pg_current_xact_id()::text::bigint, pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    ).fetchall()
    return int(own), int(oldest)
