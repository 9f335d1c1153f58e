"""The overview's lists as columns: the same for its exports, whatever their form."""

from __future__ import annotations

from typing import Any

from apps.fraud.models import Decision, Mode, Outcome
from apps.fraud.templatetags.payments import card_end
from apps.fraud.watch.exports import INTEGER, NUMBER, TEXT, TIME, Column


def _event(name: str, kind: str = TEXT) -> Column:
    return Column(name, kind, lambda row: getattr(row.transaction, name))


def _made(name: str, kind: str = TEXT) -> Column:
    return Column(name, kind, lambda row: getattr(row, name))


def _of(name: str, kind: str = INTEGER) -> Column:
    return Column(name, kind, lambda row: row[name])


def _known(row: Decision) -> str:
    return str(row.known)  # type: ignore[attr-defined]


# No token, device or address of the cardholder's: of the card what pages show of it.
EVENTS = (
    _event("event_id"),
    Column("source", TEXT, lambda row: row.transaction.source.slug),
    _made("decided_at", TIME),
    _event("occurred_at", TIME),
    _event("type"),
    Column("card", TEXT, lambda row: card_end(row.transaction.card_token)),
    _event("amount_minor", INTEGER),
    _event("currency"),
    _event("amount_reporting_minor", INTEGER),
    _event("merchant_id"),
    _event("terminal_id"),
    _event("mcc"),
    _event("country"),
    _event("entry_mode"),
    _event("channel"),
    Column("decision", TEXT, lambda row: str(row.outcome)),
    Column("mode", TEXT, lambda row: str(row.mode)),
    _made("mode_reason"),
    _made("score", NUMBER),
    _made("review_threshold", NUMBER),
    _made("decline_threshold", NUMBER),
    _made("model_version", INTEGER),
    _made("ruleset_version", INTEGER),
    _made("main_reason"),
    _made("latency_ms", NUMBER),
    Column("known", TEXT, _known),
)
PERIODS = (
    _of("start", TIME),
    _of("end", TIME),
    _of("n"),
    _of("per_second", NUMBER),
    *(_of(str(name)) for name in (*Outcome, *Mode)),
    *(_of(name) for name in ("deadline_hits", "late", "too_old", "alerts")),
    *(_of(name, NUMBER) for name in ("p50_ms", "p95_ms", "p99_ms")),
    *(
        _of(name)
        for name in (
            "disposed_frauds", "disposed_goods", "frauds", "fraud_minor", "frauds_alerted",
            "fraud_alerted_minor", "good_declined", "good_declined_minor", "declined_unknown",
        )
    ),
    _of("saved_minor", NUMBER),
)  # fmt: skip
DRIFT = (
    Column("feature", TEXT, lambda row: row.name),
    Column("psi", NUMBER, lambda row: row.psi),
    Column("limit", NUMBER, lambda row: row.limit),
    Column("drifted", TEXT, lambda row: "yes" if row.drifted else "no"),
    Column("missing", NUMBER, lambda row: row.missing),
    Column("missing_then", NUMBER, lambda row: row.missing_then),
)


def members_of(row: Any, columns: tuple[Column, ...]) -> dict[str, Any]:
    """A row as a program is given it."""
    return {column.name: column.of(row) for column in columns}
