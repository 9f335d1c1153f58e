"""Lock the running states a batch touches, and write them back. Always sites, then cards, then
terminals, each in key order: two workers that want the same keys wait, and never for each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from apps.fraud.models import KeyState

State = TypeVar("State", bound=KeyState)


def lock_states(model: type[State], site_id: int, keys: Iterable[str]) -> dict[str, State]:
    """The states by key, made empty where there was none, locked until the transaction ends."""
    ordered = sorted(set(keys))
    fresh: list[Any] = [model(site_id=site_id, key=key) for key in ordered]
    model._default_manager.bulk_create(fresh, ignore_conflicts=True)
    rows = model._default_manager.select_for_update().filter(site_id=site_id, key__in=ordered).order_by("key")
    return {row.key: row for row in rows}


def readable(rows: Mapping[str, KeyState], artefact_hash: str) -> dict[str, bytes]:
    """The states this artefact wrote: a hidden state means nothing to another network."""
    return {
        key: bytes(row.state) for key, row in rows.items() if row.artefact_hash == artefact_hash and row.state
    }


def store_states(
    model: type[State], rows: Mapping[str, State], states: Mapping[str, bytes], artefact_hash: str
) -> None:
    changed = []
    for key, state in states.items():
        row = rows[key]
        if bytes(row.state) != state or row.artefact_hash != artefact_hash:
            row.state, row.artefact_hash, row.version = state, artefact_hash, row.version + 1
            changed.append(row)
    model._default_manager.bulk_update(changed, ["state", "artefact_hash", "version"], batch_size=200)
