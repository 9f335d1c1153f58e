"""A card's events round one of its payments: where they were, how far apart, and in which order they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from apps.accounts.models import Site
from apps.fraud.models import DECIDED_TYPES, Transaction
from ml.fraud.features import great_circle_km

BEFORE, AFTER = timedelta(days=30), timedelta(hours=24)
BEFORE_MAX, AFTER_MAX = 200, 50
FASTEST_KMH = 1000.0  # an airliner's cruise, and a little more
NEAR_KM = 100.0  # below, a coordinate says too little: terminals are registered at head offices
SHORTEST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Move:
    """From the card's place before: kilometres, how long after, and the speed that needs in km/h."""

    km: float
    took: timedelta
    kmh: float

    @property
    def impossible(self) -> bool:
        return self.km >= NEAR_KM and self.kmh > FASTEST_KMH


@dataclass(frozen=True, slots=True)
class CardEvents:
    """`before` and `after` without the payment itself, all in the order in which they happened."""

    paid: Transaction
    before: tuple[Transaction, ...]
    after: tuple[Transaction, ...]

    @property
    def every(self) -> tuple[Transaction, ...]:
        return (*self.before, self.paid, *self.after)

    @property
    def payments_before(self) -> list[Transaction]:
        return [row for row in self.before if row.type in DECIDED_TYPES]

    def moves(self) -> dict[int, Move]:
        """By event: how it came there from the last place known before it. None has an event without one."""
        places = self.located()
        return {row.pk: _move(last, row) for last, row in pairwise(places)}

    def located(self) -> list[Transaction]:
        return [
            row
            for row in self.every
            if row.latitude is not None and row.longitude is not None and row.type in DECIDED_TYPES
        ]


def card_events(site: Site, paid: Transaction) -> CardEvents:
    """Of 30 days before and one day after, the nearest to it: at most 200 and 50."""
    rows = Transaction.objects.filter(source__site=site, card_token=paid.card_token).exclude(pk=paid.pk)
    rows = rows.select_related("decision")
    at = paid.occurred_at
    before = rows.filter(occurred_at__gt=at - BEFORE, occurred_at__lte=at)
    after = rows.filter(occurred_at__gt=at, occurred_at__lte=at + AFTER)
    return CardEvents(
        paid,
        tuple(reversed(before.order_by("-occurred_at", "-pk")[:BEFORE_MAX])),
        tuple(after.order_by("occurred_at", "pk")[:AFTER_MAX]),
    )


def _move(last: Transaction, row: Transaction) -> Move:
    km = great_circle_km(*_place(last), *_place(row))
    took = row.occurred_at - last.occurred_at
    return Move(km, took, km / (max(took, SHORTEST) / timedelta(hours=1)))


def _place(row: Transaction) -> tuple[float, float]:
    if row.latitude is None or row.longitude is None:
        raise ValueError("it has no place")
    return row.latitude, row.longitude


def within(rows: Sequence[Transaction], at: datetime, window: timedelta) -> list[Transaction]:
    return [row for row in rows if at - window <= row.occurred_at <= at]


def long(took: timedelta) -> str:
    """`4 min`: in the unit that fits."""
    seconds = took.total_seconds()
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < below:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"
