"""Decided payments that share one's card, device, IP address, merchant or terminal, and which are fraud.

Each count reads at most the newest COUNTED_MAX of them along an index of its own, however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.paging import as_key, beyond, time_key
from apps.fraud.models import DECIDED, FraudLabel, Source, Transaction

SINCE = timedelta(days=30)
COUNTED_MAX = 1000
PAGE_ROWS = 50
FIELDS = {
    "card": "card_token", "device": "device_id", "ip": "ip", "merchant": "merchant_id",
    "terminal": "terminal_id",
}  # fmt: skip
NAMES = {
    "card": "card",
    "device": "device",
    "ip": "IP address",
    "merchant": "merchant",
    "terminal": "terminal",
}


@dataclass(frozen=True, slots=True)
class Linked:
    """Beside the payment itself, since 30 days before it: events, of how many cards, known frauds among them.

    `capped`: there are more, and only the newest were counted. `before`: the payment's own time.
    """

    kind: str
    value: str
    events: int
    cards: int
    frauds: int
    last_fraud_at: datetime | None
    before: datetime

    @property
    def name(self) -> str:
        return NAMES[self.kind]

    @property
    def capped(self) -> bool:
        return self.events == COUNTED_MAX


@dataclass(frozen=True, slots=True)
class LinkedPage:
    """Newest first; `older`: the key the next page begins behind, empty at the end."""

    rows: list[Transaction]
    older: str


def linked_to(site: Site, paid: Transaction) -> dict[str, Linked]:
    """By kind, in the order of FIELDS; none for what the event does not say."""
    sources = _sources(site)
    return {kind: _counted(kind, paid, sources) for kind in FIELDS if getattr(paid, FIELDS[kind])}


def _counted(kind: str, paid: Transaction, sources: Sequence[int]) -> Linked:
    value = getattr(paid, FIELDS[kind])
    found: dict[str, Any] = _newest(kind, paid, sources)[:COUNTED_MAX].aggregate(
        events=Count("pk"), cards=Count("card_token", distinct=True),
        frauds=Count("pk", filter=Q(fraud=True)), last_fraud_at=Max("occurred_at", filter=Q(fraud=True)),
    )  # fmt: skip
    return Linked(kind, str(value), before=paid.occurred_at, **found)


def linked_page(
    site: Site, paid: Transaction, kind: str, *, frauds: bool = False, after: str = ""
) -> LinkedPage:
    """One page of them; with `frauds` those known to be, among the newest that the count looked at."""
    rows = _newest(kind, paid, _sources(site)).select_related("decision", "source")
    rows = beyond(rows, "occurred_at", time_key(after), descending=True)
    if frauds:
        newest = _newest(kind, paid, _sources(site))[:COUNTED_MAX]
        rows = rows.filter(pk__in=[row.pk for row in newest if row.fraud])
    found = list(rows[: PAGE_ROWS + 1])
    last = found[PAGE_ROWS - 1] if len(found) > PAGE_ROWS else None
    return LinkedPage(found[:PAGE_ROWS], as_key(last.occurred_at, last.pk) if last else "")


def _newest(kind: str, paid: Transaction, sources: Sequence[int]) -> QuerySet[Any]:
    """Each with `fraud`: the last word on it, None where nobody spoke."""
    since = min(now(), paid.occurred_at) - SINCE
    said = FraudLabel.objects.filter(transaction=OuterRef("pk")).order_by("-received_at", "-pk")
    rows = Transaction.objects.filter(
        DECIDED, source__in=sources, occurred_at__gt=since, **{FIELDS[kind]: getattr(paid, FIELDS[kind])}
    ).exclude(pk=paid.pk)
    return rows.annotate(fraud=Subquery(said.values("fraud")[:1])).order_by("-occurred_at", "-pk")


def _sources(site: Site) -> list[int]:
    # By number: a join would leave the planner to guess which of them has the most.
    return list(Source.objects.filter(site=site).order_by("pk").values_list("pk", flat=True))
