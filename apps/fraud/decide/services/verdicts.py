"""What was judged of each transaction, and writing it down: decision, evidence, alert, outbox, audit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.accounts.models import Site
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.sql import insert, new_row, round_trip
from apps.fraud.decide.services.late import keep_for_later
from apps.fraud.decide.services.look import Looked
from apps.fraud.models import (
    Alert,
    Decision,
    EventType,
    Evidence,
    Mode,
    OutboxRow,
    Outcome,
    Transaction,
    by_thresholds,
)
from apps.fraud.rules.rules import RuleHit, main_hit, settle
from apps.fraud.serving.predictors import MODEL_UNREADABLE
from apps.fraud.serving.rows import event_of
from apps.fraud.work.services.gather import ring_gather
from ml.fraud.contracts import NETWORK, EventScore, Reason, Thresholds

DEADLINE = "deadline"
STATE_BUSY = "state_busy"
MODEL_FAILED = "model_failed"
# Why the states did not hear of a payment that they are to hear of later. Without a model in service
# (no_model) there are none to move.
LATER = frozenset({DEADLINE, STATE_BUSY, MODEL_UNREADABLE, MODEL_FAILED})
RESCORE = Decision._meta.get_field("rescore")


@dataclass(frozen=True, slots=True)
class Judged:
    """One transaction's answer before it is written."""

    row: Transaction
    hits: list[RuleHit]
    score: EventScore | None
    mode: Mode
    mode_reason: str
    number: int | None = None
    artefact_hash: str = ""
    thresholds: Thresholds | None = None
    network: dict[str, Any] = field(default_factory=dict)  # what its part of the reasons is made of


def write_decisions(
    site: Site, judged: list[Judged], seen: Looked, beside: Callable[[], None] | None = None
) -> list[Decision]:
    """One decision for each, with the keys and by the rules seen; `beside` may write more with them."""
    at = now()
    decisions = [
        _decision(pk, item, seen.rules.version, at)
        for pk, item in zip(seen.decision_ids, judged, strict=True)
    ]
    told = [
        OutboxRow(topic="decision.made", decision=decision, created_at=at, due_at=at)
        for decision in decisions
        if decision.transaction.source.webhook_url
    ]
    evidence = [_evidence(decision, item) for decision, item in zip(decisions, judged, strict=True)]
    alerts = [
        alert_of(site, decision, decision.score, at)
        for decision in decisions
        if decision.outcome != Outcome.APPROVE
    ]
    late = [item for item in judged if item.mode_reason in LATER and not event_of(item.row).too_old]
    with round_trip():
        if beside:
            beside()
        insert(decisions, evidence, alerts, told)
        # With a model that cannot be read, what they wait for is not a bell.
        soon = any(item.mode_reason != MODEL_UNREADABLE for item in late)
        keep_for_later([item.row for item in late], soon=soon)
        _record(site, decisions)
    if told:
        ring("fraud.deliver_decisions")
    if alerts:
        ring_gather()
    return decisions


def _record(site: Site, decisions: Sequence[Decision]) -> None:
    record(
        "decisions.made",
        site=site,
        actor=None,
        detail={
            "count": len(decisions), "first_id": decisions[0].pk, "last_id": decisions[-1].pk,
            **Counter(str(decision.outcome) for decision in decisions),
        },
    )  # fmt: skip


def _decision(pk: int, item: Judged, ruleset_version: int, at: datetime) -> Decision:
    score, limits = item.score, item.thresholds
    made = new_row(
        Decision,
        id=pk,
        transaction=item.row,
        outcome=outcome_of(item),
        score=score.score if score else None,
        mode=item.mode,
        mode_reason=item.mode_reason,
        main_reason=_main_reason(item),
        ruleset_version=ruleset_version,
        deadline_hit=item.mode_reason in (DEADLINE, STATE_BUSY),
        model_version=item.number,
        artefact_hash=item.artefact_hash,
        review_threshold=limits.review if limits else None,
        decline_threshold=limits.decline if limits else None,
        decided_at=at,
        latency_ms=max(0.0, (at - item.row.received_at).total_seconds() * 1000),
    )
    RESCORE.set_cached_value(made, None)  # who answers with it need not ask for what cannot be there yet
    return made


def _evidence(decision: Decision, item: Judged) -> Evidence:
    features = item.score.vector.tobytes() if item.score else b""
    return new_row(Evidence, decision=decision, features=features, reasons=_reasons(item))


def _main_reason(item: Judged) -> str:
    """What spoke most for fraud: a rule, else the model's strongest reason that raised the score.

    For what a rule or list allowed, that.
    """
    hit = main_hit(item.hits)
    return hit.text[:200] if hit else speaking_most(item.score.reasons if item.score else ())


def speaking_most(reasons: Sequence[Reason]) -> str:
    """The model's strongest reason that raised the score; empty where none did."""
    raising = (reason.text for reason in reasons if reason.code != "other" and reason.weight > 0)
    return next(raising, "")[:200]


def outcome_of(item: Judged) -> Outcome:
    by_model = None
    if item.score is not None and item.thresholds is not None:
        by_model = by_thresholds(item.score.score, item.thresholds.review, item.thresholds.decline)
    return possible(item.row, settle(item.hits, by_model))


def possible(row: Transaction, outcome: Outcome) -> Outcome:
    """An advice tells of a payment that has been made: there is nothing left to decline."""
    return Outcome.REVIEW if outcome == Outcome.DECLINE and row.type == EventType.ADVICE else outcome


def _reasons(item: Judged) -> list[dict[str, Any]]:
    """Rules first: they are certain. Then the model's, as it ranked them."""
    rules = [
        _reason(hit.code, hit.text, hit.value, hit.baseline, None)
        | {"action": str(hit.outcome), "shadow": hit.shadow}
        for hit in item.hits
    ]
    return rules + as_rows(item.score.reasons if item.score else (), item.network)


def as_rows(reasons: Sequence[Reason], network: dict[str, Any]) -> list[dict[str, Any]]:
    """The model's reasons as evidence keeps them; `network`: more of what the network added."""
    return [
        _reason(r.code, r.text, r.value, r.baseline, r.weight) | (network if r.code == NETWORK else {})
        for r in reasons
    ]


def _reason(code: str, text: str, value: Any, baseline: Any, weight: float | None) -> dict[str, Any]:
    return {
        "code": code,
        "text": text,
        "value": _json_safe(value),
        "baseline": _json_safe(baseline),
        "weight": _json_safe(weight),
    }


def _json_safe(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def alert_of(site: Site, decision: Decision, score: float | None, at: datetime) -> Alert:
    amount = decision.transaction.amount_reporting_minor
    return Alert(
        site=site,
        decision=decision,
        amount_reporting_minor=amount,
        risk_minor=amount if score is None else round(score * amount),
        created_at=at,
    )
