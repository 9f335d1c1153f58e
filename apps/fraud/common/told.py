"""Who hears of what analysts did, and whether they acknowledged it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from apps.fraud.models import Act, ActKind, ListEntry, OutboxRow


@dataclass(frozen=True, slots=True)
class Done:
    """An act, and the row by which its sender hears of it; None where it hears of nothing."""

    act: Act
    told: OutboxRow | None


def told_of(entries: Sequence[ListEntry]) -> list[tuple[ListEntry, list[Done]]]:
    """Each entry with how its senders were told of the block, or of its end once that is undone."""
    blocks = Act.objects.filter(entry__in=[entry.pk for entry in entries], kind=ActKind.BLOCK, undoes=None)
    blocks = blocks.select_related("decision__transaction__source", "undone")
    found: dict[int | None, list[Done]] = defaultdict(list)
    for act in blocks.prefetch_related("told", "undone__told").order_by("pk"):
        latest = act if act.stands else act.undone
        found[act.entry_id].append(Done(latest, next(iter(latest.told.all()), None)))
    return [(entry, found[entry.pk]) for entry in entries]
