"""A site's block and allow lists in memory: one look in a dict for each kind of thing that is listed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from apps.core.clock import now
from apps.fraud.models import ListKind, ListName, Transaction

BLOCK_LIST = "block_list"
ALLOW_LIST = "allow_list"
Known = dict[ListKind, dict[str, tuple[int, datetime | None]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One that holds now."""

    kind: ListKind
    pk: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Entries by kind and value: their key and when they expire (None: never), which counts at each look."""

    by_list: dict[str, Known] = field(
        default_factory=lambda: {name: defaultdict(dict) for name in ListName.values}
    )

    def learn(
        self, pk: int, name: str, kind: str, value: str, holds: bool, expires_at: datetime | None
    ) -> None:
        """Take in one that is new or has ended; the newest of the same thing counts."""
        known = self.by_list[name][ListKind(kind)]
        if holds:
            known[value] = pk, expires_at
        elif known.get(value, (None,))[0] == pk:
            del known[value]

    def blocked(self, row: Transaction) -> Entry | None:
        return self._found(self.by_list[ListName.BLOCK], row)

    def allowed(self, row: Transaction) -> Entry | None:
        return self._found(self.by_list[ListName.ALLOW], row)

    def _found(self, known: Known, row: Transaction) -> Entry | None:
        for kind, values in list(known.items()):
            if (entry := values.get(getattr(row, kind))) is not None:
                pk, expires_at = entry
                if expires_at is None or expires_at > now():
                    return Entry(kind, pk)
        return None

    def __len__(self) -> int:
        return sum(len(values) for known in self.by_list.values() for values in known.values())
