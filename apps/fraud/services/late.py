"""Transactions decided without moving the states: let the states know of them afterwards, each once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, groupby

from apps.core.bell import ring
from apps.core.sql import insert
from apps.fraud import inference
from apps.fraud.models import HeardLater, LateState, Transaction
from apps.fraud.rows import event_of
from apps.fraud.services.sequence import states_for
from apps.fraud.services.states import heard, lock_states, store_states
from ml.fraud.memory import keys_of


def keep_for_later(rows: Iterable[Transaction]) -> None:
    """Remember them in the caller's transaction and ring their shards."""
    late = [LateState(transaction=row, shard=row.shard) for row in rows]
    insert(late)
    for shard in sorted({row.shard for row in late}):
        ring("fraud.decide_pending", shard)


def apply_late(shard: int, limit: int) -> int:
    """Let the states know of up to `limit`, inside the caller's transaction; returns how many.

    The rows go in the transaction that writes the states, so each is applied once. While no model
    serves there is no state to move, and they wait.
    """
    late = LateState.objects.select_related("transaction__source__site").filter(shard=shard)
    rows = [one.transaction for one in late.order_by("pk")[:limit]]
    model = inference.current_champion() if rows else inference.NoAnswer("nothing_late")
    if isinstance(model, inference.NoAnswer):
        return 0
    by_site = sorted(rows, key=lambda row: (row.source.site_id, row.pk))
    for site_id, group in groupby(by_site, key=lambda row: row.source.site_id):
        _absorb(model, site_id, list(group))
    LateState.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _absorb(model: inference.Champion, site_id: int, rows: list[Transaction]) -> None:
    states = lock_states(site_id, chain.from_iterable(map(keys_of, rows)))
    known, _ = states_for(model, site_id, states)
    answer = inference.score(model, [event_of(row) for row in rows], known)
    store_states(site_id, states, answer.states, model.artefact_hash)
    heard(HeardLater(transaction=row, artefact_hash=model.artefact_hash) for row in rows)
