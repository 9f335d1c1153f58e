"""Decided payments of a site, the latest first: narrowed down, page by page along an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import Site
from apps.core.errors import LynceusError
from apps.core.paging import as_key, beyond, time_key
from apps.fraud.models import Decision, FraudLabel

LONGEST = timedelta(days=92)
CHUNK = 1000


class Known(models.TextChoices):
    FRAUD = "fraud", "Fraud"
    LEGITIMATE = "legitimate", "Legitimate"
    UNKNOWN = "unknown", "Unknown"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Decided from `since` up to `until`; an empty string is no narrowing."""

    since: datetime
    until: datetime
    outcome: str = ""
    mode: str = ""
    known: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """`older` is the cursor to go on from; empty where there is no more."""

    rows: list[Decision]
    older: str


def require_period(since: datetime, until: datetime) -> None:
    """LynceusError 422 for one that ends before it begins or is longer than LONGEST."""
    if not timedelta() < until - since <= LONGEST:
        raise LynceusError(
            "bad_period", f"`since` lies before `until`, by {LONGEST.days} days at most.", status=422
        )


def events_of(site: Site, chosen: Chosen) -> QuerySet[Decision]:
    rows = Decision.objects.filter(
        transaction__source__site=site, decided_at__gte=chosen.since, decided_at__lt=chosen.until
    )
    for field in ("outcome", "mode"):
        if value := getattr(chosen, field):
            rows = rows.filter(**{field: value})
    if chosen.source:
        rows = rows.filter(transaction__source__slug=chosen.source)
    if chosen.known == Known.UNKNOWN:
        rows = rows.filter(~Exists(FraudLabel.objects.filter(transaction=OuterRef("transaction"))))
    elif chosen.known:
        rows = rows.filter(Exists(_last_said(chosen.known == Known.FRAUD)))
    return rows.select_related("transaction__source", "alert", "rescore").order_by("-decided_at", "-id")


def _last_said(fraud: bool) -> QuerySet[FraudLabel]:
    """The outer decision's last label, if it says so."""
    told = FraudLabel.objects.filter(transaction=OuterRef("transaction"), fraud=fraud)
    later = FraudLabel.objects.filter(transaction=OuterRef("transaction"), pk__gt=OuterRef("pk"))
    return told.filter(~Exists(later))


def page_of(rows: QuerySet[Decision], cursor: str, size: int) -> Page:
    """LynceusError 422 for a cursor that is none of ours."""
    key = time_key(cursor)
    if cursor and key is None:
        raise LynceusError("bad_cursor", "The cursor is none that was given out here.", status=422)
    found = list(beyond(rows, "decided_at", key, descending=True)[: size + 1])
    shown = with_known(found[:size])
    return Page(shown, cursor_of(shown[-1]) if len(found) > size else "")


def cursor_of(row: Decision) -> str:
    return as_key(row.decided_at, row.pk)


def with_known(rows: Sequence[Decision]) -> list[Decision]:
    """The same rows, each with `known`: what the last label says, or that there is none."""
    labels = FraudLabel.objects.filter(transaction__in=[row.transaction_id for row in rows]).order_by("pk")
    said = dict(labels.values_list("transaction_id", "fraud"))
    for row in rows:
        fraud = said.get(row.transaction_id)
        row.known = (  # type: ignore[attr-defined]
            Known.UNKNOWN if fraud is None else Known.FRAUD if fraud else Known.LEGITIMATE
        )
    return list(rows)


def in_chunks(rows: Iterable[Decision]) -> Iterator[Decision]:
    """For a long walk: what is known is asked for CHUNK rows at a time."""
    chunk: list[Decision] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield from with_known(chunk)
            chunk = []
    yield from with_known(chunk)
