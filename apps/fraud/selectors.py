"""Reads: a decision, the queue, a card's recent past. Everything is cut to one site here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet

from apps.accounts.models import Site
from apps.accounts.services import site_is_open
from apps.core.clock import now
from apps.fraud.models import (
    Action,
    Alert,
    AlertStatus,
    Decision,
    Delivery,
    OutboxRow,
    Outcome,
    Source,
    Transaction,
    TransactionStatus,
)
from apps.modelops.selectors import champion

RECENT = timedelta(hours=24)
JUST_NOW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What the analyst narrows the queue to; an empty string is no narrowing."""

    show: str = "alerts"
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
    return Transaction.objects.filter(source__site=site, status=TransactionStatus.PARKED).count()


def parked_transactions() -> str:
    """For /status: raises while a transaction waits for a person."""
    if count := Transaction.objects.filter(status=TransactionStatus.PARKED).count():
        raise RuntimeError(f"{count} could not be decided: mend the cause, then requeue_parked")
    return "none"


def dead_deliveries() -> str:
    """For /status: raises while a source was not told of a decision and nothing tries any more."""
    if count := OutboxRow.objects.exclude(dead_at=None).count():
        raise RuntimeError(f"{count} decisions could not be delivered: mend the address, then redeliver")
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
            "transaction__source", "transaction__duplicate_of", "alert", "evidence", "rescore"
        )
        .filter(transaction__source__site=site, public_id=public_id)
        .first()
    )


def decisions_among(site: Site, ids: Collection[int]) -> dict[int, Decision]:
    """By primary key, with what was decided on."""
    found = Decision.objects.filter(transaction__source__site=site, pk__in=ids)
    return {made.pk: made for made in found.select_related("transaction")}


def open_alerts_for(site: Site, chosen: QueueFilter) -> QuerySet[Decision]:
    """Decisions with an open alert, the most money at risk first."""
    rows = _decisions(site, chosen).filter(alert__site=site, alert__status=AlertStatus.OPEN)
    return rows.order_by("-alert__risk_minor", "-alert__id")


def recent_decisions_for(site: Site, chosen: QueueFilter) -> QuerySet[Decision]:
    return _decisions(site, chosen).order_by("-id")


def _decisions(site: Site, chosen: QueueFilter) -> QuerySet[Decision]:
    rows = Decision.objects.select_related("transaction__source", "alert", "rescore").filter(
        transaction__source__site=site
    )
    if chosen.outcome:
        rows = rows.filter(outcome=chosen.outcome)
    if chosen.mode:
        rows = rows.filter(mode=chosen.mode)
    if chosen.source:
        rows = rows.filter(transaction__source__slug=chosen.source)
    return rows


def queue_mark(site: Site) -> str:
    """Changes whenever a decision, an alert or the number waiting changes.

    An alert that a rescore raised comes without a new decision.
    """
    last = Decision.objects.filter(transaction__source__site=site).order_by("-id").values_list("id").first()
    newest = Alert.objects.filter(site=site).order_by("-id").values_list("id").first()
    waiting = waiting_for(site)
    alerts = open_alert_count(site)
    return f"{last[0] if last else 0}-{newest[0] if newest else 0}-{alerts}-{waiting}"


def open_alert_count(site: Site) -> int:
    return Alert.objects.filter(site=site, status=AlertStatus.OPEN).count()


def waiting_for(site: Site) -> int:
    return Transaction.objects.filter(source__site=site, status=TransactionStatus.PENDING).count()


def card_timeline(decision: Decision, limit: int = 20) -> list[Transaction]:
    """The same card's other events, newest first, none later than a day after this one."""
    row = decision.transaction
    others = Transaction.objects.filter(
        source__site=row.source.site,
        card_token=row.card_token,
        occurred_at__lte=row.occurred_at + RECENT,
    ).exclude(pk=row.pk)
    return list(others.select_related("decision").order_by("-occurred_at", "-id")[:limit])


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
