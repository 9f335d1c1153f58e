"""A case as a PDF, with its payments, its evidence and who did what when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from apps.accounts.models import User
from apps.core.clock import now
from apps.core.pdf import compiled
from apps.fraud.models import Alert, Case, CaseEntry, CaseKind
from apps.fraud.templatetags.payments import amount, card_end

TEMPLATE = Path(__file__).with_name("case.typ")


def as_pdf(case: Case) -> bytes:
    """Times are in the time zone in force. A card is named by the end of its token."""
    entries = case.entries.select_related("by", "alert__decision__transaction").order_by("pk")
    alerts = case.alerts.select_related("decision__transaction").order_by("pk")
    return compiled(
        TEMPLATE,
        {
            "title": f"Case {case.number}, {case.title}",
            "heading": f"Case {case.number}: {case.title}",
            "organization": case.site.name,
            "made": f"Made {_when(now())}",
            "facts": [[name, text] for name, text in _facts(case)],
            "payments": [_payment(alert) for alert in alerts],
            "entries": [_entry(entry) for entry in entries],
        },
    )


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    yield "State", case.state
    yield "Opened", f"{_when(case.opened_at)} by {_name(case.opened_by)}"
    if case.conclusion:
        yield "Conclusion", case.conclusion
    if case.closing_at and case.closing_by:
        yield "Closing asked for", f"{_when(case.closing_at)} by {_name(case.closing_by)}"
    if case.closed_at and case.closed_by:
        yield "Closed", f"{_when(case.closed_at)} by {_name(case.closed_by)}"


def _payment(alert: Alert) -> list[str]:
    row = alert.decision.transaction
    said = alert.dispositions.filter(withdrawal=None).order_by("-pk").first()
    words = f"{said.get_verdict_display()}: {said.get_reason_display()}" if said else "not settled"
    where = f"{row.merchant_id}, {row.country}, card {card_end(row.card_token)}"
    return [_when(row.occurred_at), where, amount(row), words]


def _entry(entry: CaseEntry) -> dict[str, Any]:
    row = entry.alert.decision.transaction if entry.alert else None
    text = f"{amount(row)} at {row.merchant_id}" if row else entry.text
    kind = CaseKind(entry.kind).label
    return {"at": _when(entry.at), "by": _name(entry.by), "kind": kind, "text": text, "link": entry.link}


def _name(user: User) -> str:
    return user.full_name or user.email


def _when(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M")
