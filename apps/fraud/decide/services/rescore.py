"""After the fact: let the states know of what was decided without them, and keep what the model says of it.

A rescore is a record beside the decision, which it never changes. What the model would not have let pass
gets an alert then, so that a person sees it; the sender is told nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain, groupby

from django.conf import settings

from apps.accounts.models import Site
from apps.audit.services import record
from apps.core.clock import now
from apps.core.sql import insert
from apps.fraud.decide.services.verdicts import alert_of, speaking_most
from apps.fraud.models import (
    HeardLater,
    LateState,
    Outcome,
    Rescore,
    ShardLock,
    Transaction,
    by_thresholds,
)
from apps.fraud.rules.services.rulesets import active_rules
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import Champion, NoAnswer
from apps.fraud.serving.rows import event_of
from apps.fraud.serving.services.sequence import states_for
from apps.fraud.serving.services.states import heard, lock_states, store_states
from apps.fraud.work.services.gather import ring_gather
from ml.fraud.contracts import EventScore, Thresholds
from ml.fraud.memory import keys_of

Scored = tuple[Transaction, EventScore]


def apply_late(shard: int, limit: int) -> int:
    """Let the states know of up to `limit`, inside the caller's transaction; returns how many.

    The rows go in the transaction that writes states, rescores and alerts, so each is applied once; so do
    those the model cannot score, without any of it. While no model answers they wait, and the shard is not
    looked at again for a while. The caller holds the shard.
    """
    late = LateState.objects.select_related(
        "transaction__source__site", "transaction__decision__evidence"
    ).filter(shard=shard)
    rows = [one.transaction for one in late.order_by("pk")[:limit]]
    if not rows:
        return 0
    model = inference.current_champion()
    if isinstance(model, NoAnswer):
        again = now() + timedelta(seconds=settings.LYNCEUS_MODEL_RETRY_S)
        ShardLock.objects.filter(pk=shard).update(late_retry_at=again)
        return 0
    by_site = sorted(rows, key=lambda row: (row.source.site_id, row.pk))
    for _, group in groupby(by_site, key=lambda row: row.source.site_id):
        _absorb(model, list(group))
    LateState.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _absorb(model: Champion, rows: list[Transaction]) -> None:
    site = rows[0].source.site
    states = lock_states(site.pk, chain.from_iterable(map(keys_of, rows)))
    known, _ = states_for(model, site.pk, states)
    answer = inference.score(model, [event_of(row) for row in rows], known)
    store_states(site.pk, states, answer.states, model.artefact_hash)
    scored = [(row, score) for row, score in zip(rows, answer.scores, strict=True) if score is not None]
    if scored:
        heard(HeardLater(transaction=row, artefact_hash=model.artefact_hash) for row, _ in scored)
        _keep(site, model, scored)


def _keep(site: Site, model: Champion, scored: Sequence[Scored]) -> None:
    limits = active_rules(site).limits_now(model.artefact_hash, model.predictor.thresholds)
    at = now()
    rescores = _rescores(model, scored, limits, at)
    alerts = [alert_of(site, one.decision, one.score, at) for one in rescores if _wants_a_person(one)]
    insert(rescores, alerts)
    if alerts:
        ring_gather()
    pks = [one.pk for one in rescores]
    record(
        "decisions.rescored", site=site, actor=None,
        detail={
            "count": len(pks), "first_id": min(pks), "last_id": max(pks), "alerts": len(alerts),
            "model_version": model.number,
        },
    )  # fmt: skip


def _rescores(model: Champion, scored: Sequence[Scored], limits: Thresholds, at: datetime) -> list[Rescore]:
    outcomes = [by_thresholds(score.score, limits.review, limits.decline) for _, score in scored]
    raised = [index for index, outcome in enumerate(outcomes) if outcome != Outcome.APPROVE]
    reasons = inference.explain_in_time(model, [scored[index][1].vector for index in raised], None)
    main = dict(zip(raised, map(speaking_most, reasons), strict=False))
    return [
        Rescore(
            decision=row.decision, score=score.score, by_score=outcome, main_reason=main.get(index, ""),
            model_version=model.number, artefact_hash=model.artefact_hash,
            review_threshold=limits.review, decline_threshold=limits.decline, at=at,
        )
        for index, ((row, score), outcome) in enumerate(zip(scored, outcomes, strict=True))
    ]  # fmt: skip


def _wants_a_person(rescore: Rescore) -> bool:
    """Whether nobody looks at it yet, and it was neither rule nor list that let it pass."""
    made = rescore.decision
    let_pass = made.outcome == Outcome.APPROVE and not made.was_allowed
    return let_pass and rescore.by_score != Outcome.APPROVE
