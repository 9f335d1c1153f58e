"""Alerts in the queue without the engine: quickly, and as many as wanted."""

from __future__ import annotations

from apps.core.clock import now
from apps.fraud.models import Alert, Decision, Source, Transaction
from apps.fraud.work.services.gather import gather_alerts


def fill(source: Source, cards: int, alerts_a_card: int = 1, first: int = 0) -> None:
    """Alerts as decisions leave them, put into items."""
    at = now()
    given = {
        "type": "authorization", "occurred_at": at, "amount_minor": 1000, "currency": "EUR",
        "merchant_id": "m", "terminal_id": "t", "mcc": "5411", "country": "BE", "entry_mode": "chip",
        "channel": "pos", "received_at": at, "shard": 0, "status": "decided",
    }  # fmt: skip
    rows = Transaction.objects.bulk_create(
        Transaction(source=source, event_id=f"e{n + first}", card_token=f"card-{n % cards + first:04d}",
                    amount_reporting_minor=1000 + n + first, **given)
        for n in range(cards * alerts_a_card)
    )  # fmt: skip
    made = Decision.objects.bulk_create(
        Decision(transaction=row, outcome="review", mode="rules_only", decided_at=at, latency_ms=1)
        for row in rows
    )
    Alert.objects.bulk_create(
        Alert(site=source.site, decision=one, created_at=at, risk_minor=row.amount_reporting_minor,
              amount_reporting_minor=row.amount_reporting_minor)
        for one, row in zip(made, rows, strict=True)
    )  # fmt: skip
    gather_alerts()
