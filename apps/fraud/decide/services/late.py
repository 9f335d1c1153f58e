"""Transactions decided without moving the states: remember them, for `rescore` to let the states know."""

from __future__ import annotations

from collections.abc import Iterable

from apps.core.bell import ring
from apps.core.sql import insert
from apps.fraud.models import LateState, Transaction


def keep_for_later(rows: Iterable[Transaction], *, soon: bool) -> None:
    """In the caller's transaction; `soon` rings their shards, else the sweeper does in its time."""
    late = [LateState(transaction=row, shard=row.shard) for row in rows]
    insert(late)
    if soon:
        for shard in sorted({row.shard for row in late}):
            ring("fraud.decide_pending", shard)
