"""The one engine. Every door decides through `decide_transactions`, in ONE database transaction."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import Entry, record_many
from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud import inference, rules
from apps.fraud.models import (
    Alert,
    CardState,
    Decision,
    EventType,
    Evidence,
    Mode,
    OutboxRow,
    Outcome,
    TerminalState,
    Transaction,
    TransactionStatus,
)
from apps.fraud.rules import WINDOW, RuleHit, apply_rules, severest
from apps.fraud.services.late import keep_for_later
from apps.fraud.services.sequence import card_states
from apps.fraud.services.states import lock_states, readable, store_states
from ml.fraud.contracts import EventScore, Thresholds

DEADLINE = "deadline"
STATE_BUSY = "state_busy"
SEQUENCE_ANEW = "sequence_anew"


class AlreadyDecided(Exception):
    """A row of the batch is no longer pending: nothing of the batch may be kept."""


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


@dataclass(frozen=True, slots=True)
class Hurry:
    """Until when (time.monotonic) the model may think, and whether to go without the locked states."""

    until: float
    without_state: bool = False


def decide_transactions(batch: Sequence[Transaction], hurry: Hurry | None = None) -> list[Decision]:
    """Decide pending transactions, oldest first, inside the caller's transaction.

    Decision, evidence, alert, new states, outbox and audit rows commit with it or not at all.
    Raises AlreadyDecided when a row is not pending.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("decide_transactions needs a transaction round it")
    decisions: list[Decision] = []
    by_site = sorted(batch, key=lambda row: (row.source.site_id, row.pk))
    for _, rows in groupby(by_site, key=lambda row: row.source.site_id):
        decisions += _decide_for_site(list(rows), hurry)
    return decisions


def _decide_for_site(rows: list[Transaction], hurry: Hurry | None) -> list[Decision]:
    site = rows[0].source.site
    cards: dict[str, CardState] = {}
    terminals: dict[str, TerminalState] = {}
    if not (hurry and hurry.without_state):
        cards = lock_states(CardState, site.pk, (row.card_token for row in rows))
        terminals = lock_states(TerminalState, site.pk, (row.terminal_id for row in rows))
    hits = [apply_rules(row, earlier) for row, earlier in zip(rows, _last_hour(site, rows), strict=True)]
    model = inference.current_champion(hurry.until if hurry else None)
    if isinstance(model, inference.NoAnswer):
        judged = _by_rules(rows, hits, model.reason)
    elif hurry and hurry.without_state:
        judged = _judge_cold(model, rows, hits, hurry.until)
    else:
        judged = _judge(model, site, rows, hits, cards, terminals, hurry.until if hurry else None)
    return _write(site, judged)


def _by_rules(rows: list[Transaction], hits: list[list[RuleHit]], why: str) -> list[Judged]:
    return [Judged(row, hit, None, Mode.RULES_ONLY, why) for row, hit in zip(rows, hits, strict=True)]


def _judge(
    model: inference.Champion,
    site: Site,
    rows: list[Transaction],
    hits: list[list[RuleHit]],
    cards: dict[str, CardState],
    terminals: dict[str, TerminalState],
    until: float | None,
) -> list[Judged]:
    events = [inference.event_of(row) for row in rows]
    known, forgotten = card_states(model, site.pk, cards)
    answer = inference.score_in_time(model, events, known, readable(terminals), until)
    if answer is None:
        return _by_rules(rows, hits, DEADLINE)
    store_states(CardState, cards, answer.card_states, model.artefact_hash)
    store_states(TerminalState, terminals, answer.terminal_states, model.artefact_hash)
    reasons = [SEQUENCE_ANEW if row.card_token in forgotten else "" for row in rows]
    return _judged(answer, rows, hits, [(Mode.FULL, reason) for reason in reasons])


def _judge_cold(
    model: inference.Champion, rows: list[Transaction], hits: list[list[RuleHit]], until: float
) -> list[Judged]:
    """Each as if its card and terminal were new: somebody else holds their states."""
    events = [inference.event_of(row) for row in rows]
    answer = inference.score_in_time(model, events, {}, {}, until)
    if answer is None:
        return _by_rules(rows, hits, DEADLINE)
    return _judged(answer, rows, hits, [(Mode.NO_STATE, STATE_BUSY)] * len(rows))


def _judged(
    answer: inference.Answer,
    rows: list[Transaction],
    hits: list[list[RuleHit]],
    modes: list[tuple[Mode, str]],
) -> list[Judged]:
    return [
        Judged(row, hit, None, Mode.RULES_ONLY, "model_failed")
        if score is None
        else Judged(row, hit, score, mode, why, answer.number, answer.artefact_hash, answer.thresholds)
        for row, hit, score, (mode, why) in zip(rows, hits, answer.scores, modes, strict=True)
    ]


def _last_hour(site: Site, rows: list[Transaction]) -> list[list[Transaction]]:
    """For each row, the card's transactions stored before it that happened within WINDOW of it."""
    times = [row.occurred_at for row in rows]
    near = Transaction.objects.filter(
        source__site=site,
        card_token__in={row.card_token for row in rows},
        occurred_at__range=(min(times) - WINDOW, max(times) + WINDOW),
        type__in=(EventType.AUTHORIZATION, EventType.ADVICE),
    ).only("id", "card_token", "occurred_at", "country", "entry_mode", "channel")
    by_card: dict[str, list[Transaction]] = defaultdict(list)
    for other in near:
        by_card[other.card_token].append(other)
    return [
        [
            other
            for other in by_card[row.card_token]
            if other.pk < row.pk and abs(other.occurred_at - row.occurred_at) <= WINDOW
        ]
        for row in rows
    ]


def _write(site: Site, judged: list[Judged]) -> list[Decision]:
    at = now()
    ids = [item.row.pk for item in judged]
    claimed = Transaction.objects.filter(pk__in=ids, status=TransactionStatus.PENDING).update(
        status=TransactionStatus.DECIDED
    )
    if claimed != len(ids):
        raise AlreadyDecided
    decisions = Decision.objects.bulk_create(_decision(item, at) for item in judged)
    Evidence.objects.bulk_create(
        _evidence(decision, item) for decision, item in zip(decisions, judged, strict=True)
    )
    keep_for_later(item.row for item in judged if item.mode_reason in (DEADLINE, STATE_BUSY))
    Alert.objects.bulk_create(
        _alert(site, decision) for decision in decisions if decision.outcome != Outcome.APPROVE
    )
    told = [
        OutboxRow(topic="decision.made", decision=decision, created_at=at, due_at=at)
        for decision in decisions
        if decision.transaction.source.webhook_url
    ]
    if told:
        OutboxRow.objects.bulk_create(told)
        ring("fraud.deliver_decisions")
    record_many(
        [
            Entry(
                "decision.made",
                f"decision:{decision.public_id}",
                {"outcome": decision.outcome, "mode": decision.mode, "model_version": decision.model_version},
            )
            for decision in decisions
        ],
        site=site,
        actor=None,
    )
    return decisions


def _decision(item: Judged, at: datetime) -> Decision:
    score, limits = item.score, item.thresholds
    return Decision(
        transaction=item.row,
        outcome=_outcome(item),
        score=score.score if score else None,
        mode=item.mode,
        mode_reason=item.mode_reason,
        main_reason=_main_reason(item),
        ruleset_version=rules.VERSION,
        deadline_hit=item.mode_reason in (DEADLINE, STATE_BUSY),
        model_version=item.number,
        artefact_hash=item.artefact_hash,
        review_threshold=limits.review if limits else None,
        decline_threshold=limits.decline if limits else None,
        decided_at=at,
        latency_ms=max(0.0, (at - item.row.received_at).total_seconds() * 1000),
    )


def _evidence(decision: Decision, item: Judged) -> Evidence:
    features = item.score.vector.tobytes() if item.score else b""
    return Evidence(decision=decision, features=features, reasons=_reasons(item))


def _main_reason(item: Judged) -> str:
    """What spoke most for fraud: a rule, else the model's strongest reason that raised the score."""
    model = item.score.reasons if item.score else ()
    raising = (reason.text for reason in model if reason.code != "other" and reason.weight > 0)
    return next((hit.text for hit in item.hits), next(raising, ""))[:200]


def _outcome(item: Judged) -> Outcome:
    outcomes = [hit.outcome for hit in item.hits]
    if item.score is not None and item.thresholds is not None:
        outcomes.append(_by_thresholds(item.score.score, item.thresholds))
    outcome = severest(outcomes)
    # An advice tells of a payment that has been made: there is nothing left to decline.
    if outcome == Outcome.DECLINE and item.row.type == EventType.ADVICE:
        return Outcome.REVIEW
    return outcome


def _by_thresholds(score: float, thresholds: Thresholds) -> Outcome:
    if score >= thresholds.decline:
        return Outcome.DECLINE
    return Outcome.REVIEW if score >= thresholds.review else Outcome.APPROVE


def _reasons(item: Judged) -> list[dict[str, Any]]:
    """Rules first: they are certain. Then the model's, as it ranked them."""
    rules = [_reason(hit.code, hit.text, hit.value, hit.baseline, None) for hit in item.hits]
    model = item.score.reasons if item.score else ()
    return rules + [_reason(r.code, r.text, r.value, r.baseline, r.weight) for r in model]


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


def _alert(site: Site, decision: Decision) -> Alert:
    amount = decision.transaction.amount_reporting_minor
    return Alert(
        site=site,
        decision=decision,
        amount_reporting_minor=amount,
        risk_minor=amount if decision.score is None else round(decision.score * amount),
        created_at=decision.decided_at,
    )
