"""Reads: a decision, the recent ones, a card's recent past. Everything is cut to one site here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from apps.accounts.models import Site
from apps.accounts.services import site_is_open
from apps.core.clock import now
from apps.core.words import counted
from apps.fraud.models import (
    Action,
    Decision,
    Delivery,
    Disposition,
    OutboxRow,
    Outcome,
    Source,
    Transaction,
    TransactionStatus,
)
from apps.modelops.common.selectors import champion

JUST_NOW = timedelta(minutes=5)
RECENT_DECISIONS = 10_000
COUNT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What the recent decisions are narrowed to; an empty string is no narrowing."""

    outcome: str = ""
    mode: str = ""
    source: str = ""


def active_source(slug: str) -> Source | None:
    if not slug.isprintable():  # a NUL or half a surrogate pair cannot even be looked for
        return None
    source = Source.objects.select_related("site").filter(slug=slug, is_active=True).first()
    return source if source and site_is_open(source.site) else None


def action_for(source: Source, made: Decision) -> str:
    """What the source shall do: as it declared for a review and, for want of time, at least what it
    declared for that. Want of time never softens what was found."""
    wanted = source.review_means if made.outcome == Outcome.REVIEW else made.outcome
    if not made.deadline_hit:
        return wanted
    return max(wanted, source.on_timeout, key=Action.values.index)


def parked_for(site: Site) -> int:
    return _count(Transaction.objects.filter(source__site=site, status=TransactionStatus.PARKED))


def parked_transactions() -> str:
    """For /status: raises while a transaction waits for a person."""
    if count := Transaction.objects.filter(status=TransactionStatus.PARKED).count():
        raise RuntimeError(f"{count} could not be decided: mend the cause, then requeue_parked")
    return "none"


def dead_deliveries() -> str:
    """For /status: raises while a source was not told of a decision and nothing tries any more."""
    if count := OutboxRow.objects.exclude(dead_at=None).count():
        raise RuntimeError(
            f"{counted(count, 'decision')} could not be delivered: mend the address, then redeliver"
        )
    return "none given up"


def deliveries_of(decision: Decision) -> list[Delivery]:
    return list(Delivery.objects.filter(row__decision=decision).order_by("-at", "-id")[:20])


def sources_of(site: Site) -> QuerySet[Source]:
    return Source.objects.filter(site=site).order_by("slug")


def transaction_by_event(*, site: Site, source_slug: str, event_id: str) -> Transaction | None:
    if not (source_slug + event_id).isprintable():
        return None
    return (
        Transaction.objects.select_related(
            "decision__evidence", "decision__rescore", "source", "duplicate_of"
        )
        .filter(
            source__site=site,
            event_key__source__slug=source_slug,
            event_key__event_id=event_id,
        )
        .first()
    )


def decision_for(*, site: Site, public_id: UUID) -> Decision | None:
    return (
        Decision.objects.select_related(
            "transaction__source",
            "transaction__duplicate_of",
            "alert__item__locked_by",
            "evidence",
            "rescore",
        )
        .filter(transaction__source__site=site, public_id=public_id)
        .first()
    )


def latest_of_card(site: Site, card_token: str) -> list[Decision]:
    """At each source of the site that sent a payment of the card, the latest that was decided."""
    paid = Decision.objects.select_related("transaction__source").filter(transaction__card_token=card_token)
    latest = paid.order_by("-transaction__occurred_at", "-pk")
    found = [latest.filter(transaction__source=source).first() for source in sources_of(site)]
    return [made for made in found if made is not None]


def decisions_among(site: Site, ids: Collection[int]) -> dict[int, Decision]:
    """By primary key, with what was decided on."""
    found = Decision.objects.filter(transaction__source__site=site, pk__in=ids)
    return {made.pk: made for made in found.select_related("transaction")}


def recent_decisions_for(site: Site, chosen: QueueFilter, *, rows: int) -> list[Decision]:
    """The newest first, among the last RECENT_DECISIONS of the installation: what is rare among ten million
    would else be looked for among all of them.

    What a row tells is asked apart from which they are, and sources by their keys: else the database plans
    joins over all decisions.
    """
    newest = Decision.objects.order_by("-id").values_list("id", flat=True).first() or 0
    sources = sources_of(site).filter(slug=chosen.source) if chosen.source else sources_of(site)
    found = Decision.objects.filter(
        id__gt=newest - RECENT_DECISIONS, transaction__source__in=list(sources.values_list("pk", flat=True))
    )
    if chosen.outcome:
        found = found.filter(outcome=chosen.outcome)
    if chosen.mode:
        found = found.filter(mode=chosen.mode)
    pks = list(found.order_by("-id").values_list("id", flat=True)[:rows])
    told = Decision.objects.select_related("transaction__source", "alert", "rescore")
    return list(told.filter(pk__in=pks).order_by("-id"))


def last_verdicts() -> QuerySet[Any]:
    """Each alert with the last of the dispositions of it that stand; one that nobody settled is not there."""
    pairs = Disposition.alerts.through.objects.filter(disposition__withdrawal=None)
    later = pairs.filter(alert_id=OuterRef("alert_id"), disposition_id__gt=OuterRef("disposition_id"))
    return pairs.filter(~Exists(later))


def waiting_for(site: Site) -> int:
    return _count(Transaction.objects.filter(source__site=site, status=TransactionStatus.PENDING))


def _count(rows: QuerySet[Transaction]) -> int:
    """Counted no further than anybody reads."""
    return rows.order_by().values("pk")[:COUNT_MAX].count()


def pending_age() -> tuple[int, float | None]:
    """How many transactions wait for a decision, and for how many seconds the oldest has."""
    found = Transaction.objects.filter(status=TransactionStatus.PENDING).aggregate(
        n=Count("id"), oldest=Min("received_at", filter=Q(status=TransactionStatus.PENDING))
    )
    oldest = found["oldest"]
    return found["n"], None if oldest is None else (now() - oldest).total_seconds()


def recent_counts() -> list[tuple[tuple[str, str], int]]:
    """Decisions of the last five minutes by outcome and mode, over all sites."""
    rows = Decision.objects.filter(decided_at__gt=now() - JUST_NOW).values_list("outcome", "mode")
    return [((outcome, mode), n) for outcome, mode, n in rows.annotate(n=Count("id")).order_by()]


def recent_latency_ms() -> list[tuple[tuple[str], float]]:
    """Quantiles over the newest of them, 5,000 at most."""
    newest = Decision.objects.filter(decided_at__gt=now() - JUST_NOW).order_by("-decided_at")
    values = sorted(newest.values_list("latency_ms", flat=True)[:5000])
    return [((str(q),), values[int(q * (len(values) - 1))]) for q in (0.5, 0.95, 0.99)] if values else []


def model_in_service() -> str:
    """For /status: raises while nothing was promoted, and while whoever decided last could not read it."""
    version = champion("fraud")
    if version is None:
        raise RuntimeError("no model is in service: rules alone decide")
    last = Decision.objects.order_by("-id").values_list("mode_reason", flat=True).first()
    if last == "model_unreadable":
        raise RuntimeError(f"version {version.number} could not be read for the last decision: rules made it")
    return f"version {version.number} is in service"
