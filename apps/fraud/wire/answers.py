"""A decision as programs hear of it: the same at both doors and in what the source is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.fraud.common.selectors import action_for
from apps.fraud.models import Contest, Reversal, Transaction, TransactionStatus
from apps.fraud.wire.decision_schemas import ReasonOut, RescoredOut
from apps.fraud.wire.plain import plain_reasons
from apps.fraud.wire.schemas import ContestOut


def answer_of(row: Transaction, reasons: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Members of `DecisionOut`. Needs the row's source, decision, evidence and what it repeats.

    `reasons`: other ones than those kept with the decision.
    """
    if row.status != TransactionStatus.DECIDED:
        told: dict[str, Any] = {"event_id": row.event_id, "status": row.status, "decision": None}
        if row.status == TransactionStatus.NOT_APPLICABLE:
            told["takes_back"] = _taken_back(row)
        return told
    made = row.decision
    thresholds = None
    if made.review_threshold is not None and made.decline_threshold is not None:
        thresholds = {"review": made.review_threshold, "decline": made.decline_threshold}
    return {
        "event_id": row.event_id,
        "status": row.status,
        "decision": made.outcome,
        "action": action_for(row.source, made),
        "score": made.score,
        "mode": made.mode,
        "mode_reason": made.mode_reason or None,
        "duplicate_of": row.duplicate_of.event_id if row.duplicate_of else None,
        # What a rule in shadow would have done is for the analyst, not for the sender.
        "reasons": [
            _told(reason, row.source_id) for reason in reasons or made.reasons if not reason.get("shadow")
        ],
        "thresholds": thresholds,
        "model_version": made.model_version,
        "artefact_hash": made.artefact_hash or None,
        "ruleset_version": made.ruleset_version,
        "deadline_hit": made.deadline_hit,
        "decided_at": made.decided_at,
        "latency_ms": made.latency_ms,
        "takes_back": None,
    }


def rescored_of(row: Transaction) -> RescoredOut | None:
    """Member of `DecisionOut` for who asks: what a source is sent is the same each time, and has none."""
    after = row.decision.rescored if row.status == TransactionStatus.DECIDED else None
    if after is None:
        return None
    return RescoredOut(
        score=after.score, decision=after.by_score, model_version=after.model_version, at=after.at
    )


def contest_out(made: Contest) -> ContestOut:
    """Needs its decision's transaction and evidence."""
    return ContestOut(
        contest_id=made.contest_id,
        event_id=made.decision.transaction.event_id,
        status="settled" if made.settled_at else "open",
        reasons=plain_reasons(made.decision),
        opened_at=made.opened_at,
        outcome=made.outcome or None,  # type: ignore[arg-type]
        answer=made.answer or None,
        settled_at=made.settled_at,
    )


def _taken_back(row: Transaction) -> dict[str, Any] | None:
    """None for one that was sent before under another id: that one takes back."""
    reversal = Reversal.objects.select_related("original").filter(pk=row.pk).first()
    if reversal is None:
        return None
    original = reversal.original
    return {"event_id": original.event_id if original else None, "amount_minor": reversal.taken_minor}


def _told(reason: Mapping[str, Any], source_id: int) -> dict[str, Any]:
    told = {name: reason.get(name) for name in ReasonOut.model_fields}
    if told["earlier_events"]:
        # What another source sent of the same card is for the analyst, not for this sender.
        mine = [one for one in told["earlier_events"] if one["source"] == source_id]
        others = sum(one["weight"] for one in told["earlier_events"] if one["source"] != source_id)
        told |= {"earlier_events": mine, "other_events": told["other_events"] + others}
    return told
