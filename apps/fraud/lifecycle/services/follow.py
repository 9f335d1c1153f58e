"""What the version in shadow says of each decision, after it was made, from the vector that was kept of it.

The counts and windows of a card are the same for every version: they are in the vector. The network's memory
of the card, and what it adds to the trees' log-odds, are the version's own.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import structlog
from django.db import connection, transaction
from django.db.models import Max

from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.snapshot import transactions
from apps.core.sql import run as run_sql
from apps.fraud.common.services.rates import business_day
from apps.fraud.decide.services.pass_through import CODE as PASSED_THROUGH
from apps.fraud.decide.services.verdicts import possible
from apps.fraud.lifecycle.services.shadow import TASK, end_shadow, forget_memories
from apps.fraud.lifecycle.shadow import behind, open_run, unscored
from apps.fraud.models import (
    TOO_OLD,
    Decision,
    Mode,
    Outcome,
    ShadowCursor,
    ShadowMemory,
    ShadowRun,
    ShadowScore,
    by_thresholds,
)
from apps.fraud.rules.rules import RuleHit, settle
from apps.fraud.rules.services.rulesets import active_rules
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import Predictor
from apps.fraud.serving.services.sequence import latest_vectors
from apps.modelops.promotion.services.shadow import move_on, settle_end
from ml.fraud.contracts import KeptVector, Thresholds

log = structlog.get_logger(__name__)
BATCH = 256
RUNG_S = 20.0  # what is left is rung for again
Card = tuple[int, str]  # site, token


def follow_decisions() -> int:
    """Answer the bell: score what was decided since, shard by shard; returns how many.

    Several workers share the shards. What a killed one had not committed is followed again.
    """
    forget_memories()
    run = open_run()
    if run is None:
        return 0
    if (end := settle_end(run)) is not None:
        end_shadow(run, end, by=None, site=run.version.dataset.site)
        return 0
    try:
        predictor = inference.challenger(run.version.artefact_hash)
    except LynceusError as error:
        log.warning("shadow_unreadable", version=run.version.number, code=error.code)
        run.say(error.message)
        return 0
    run.say("")
    return _follow(run, predictor)


def _follow(run: ShadowRun, predictor: Predictor) -> int:
    """Round after round a batch of each shard, so that none falls behind the others."""
    total, until = 0, time.monotonic() + RUNG_S
    while True:
        found = 0
        for shard in behind(run).values_list("shard", flat=True):
            found += follow_shard(run, predictor, shard)
            if time.monotonic() >= until:
                ring(TASK)
                return total + found
        total += found
        if not found:
            return total


@transaction.atomic
def follow_shard(run: ShadowRun, predictor: Predictor, shard: int) -> int:
    """Up to BATCH of a shard's decisions; scores, memories, counts and the cursor commit together."""
    cursors = ShadowCursor.objects.select_for_update(skip_locked=True, of=("self",))
    cursor = cursors.filter(run=run, shard=shard, run__ended_at=None).first()
    if cursor is None:
        return 0  # another worker's, or over
    number, oldest = transactions()
    newest = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
    rows = list(unscored(run, cursor.through).filter(transaction__shard=shard)[:BATCH])
    if rows:
        _score(run, predictor, rows)
    move_on(cursor, rows[-1].pk if len(rows) == BATCH else newest, number, oldest)
    cursor.save(update_fields=["through", "seen", "fence"])
    return len(rows)


def _score(run: ShadowRun, predictor: Predictor, rows: Sequence[Decision]) -> None:
    memories = _memories(run, predictor, rows)
    scores, after = predictor.follow(
        [_kept(row) for row in rows], {_name(card): memory for card, memory in memories.items()}
    )
    limits, at = _limits(run, predictor, rows), now()
    told = [
        _told(run, row, score, limits[row.transaction.source.site_id], at)
        for row, score in zip(rows, scores, strict=True)
    ]
    ShadowScore.objects.bulk_create(told)
    ShadowMemory.objects.bulk_create(
        [
            ShadowMemory(run=run, site_id=card[0], card_token=card[1], hidden=after[_name(card)])
            for card in memories
            if _name(card) in after
        ],
        update_conflicts=True, unique_fields=["run", "site", "card_token"], update_fields=["hidden"],
    )  # fmt: skip
    _count(run, rows, told)


def _memories(run: ShadowRun, predictor: Predictor, rows: Sequence[Decision]) -> dict[Card, bytes]:
    """By card, as kept; of a card the run meets for the first time from its history before that decision."""
    first: dict[Card, int] = {}
    for row in rows:
        first.setdefault(_card(row), row.pk)
    kept = ShadowMemory.objects.filter(run=run, card_token__in={token for _, token in first})
    known = {(one.site_id, one.card_token): bytes(one.hidden) for one in kept}
    return {
        card: known[card] if card in known else predictor.memory_of(latest_vectors(*card, before=pk))
        for card, pk in first.items()
    }


def _card(row: Decision) -> Card:
    return row.transaction.source.site_id, row.transaction.card_token


def _name(card: Card) -> str:
    return f"{card[0]}:{card[1]}"


def _kept(row: Decision) -> KeptVector:
    return KeptVector(
        card=_name(_card(row)),
        vector=np.frombuffer(bytes(row.evidence.features), "<f4"),
        knowing=row.mode == Mode.FULL,
        heard=row.mode_reason != TOO_OLD,
    )


def _limits(run: ShadowRun, predictor: Predictor, rows: Sequence[Decision]) -> dict[int, Thresholds]:
    """By site, what holds for this version there now."""
    sites = {row.transaction.source.site_id: row.transaction.source.site for row in rows}
    artefact_hash = run.version.artefact_hash
    return {
        pk: active_rules(site).limits_now(artefact_hash, predictor.thresholds) for pk, site in sites.items()
    }


def _told(
    run: ShadowRun, row: Decision, score: float | None, limits: Thresholds, at: datetime
) -> ShadowScore:
    paid = row.transaction
    by_score = None if score is None else by_thresholds(score, limits.review, limits.decline)
    return ShadowScore(
        run=run, decision=row, site_id=paid.source.site_id, score=score, by_score=by_score or "",
        would_be=possible(paid, settle(_fired(row), by_score)),
        review_threshold=limits.review, decline_threshold=limits.decline, at=at,
    )  # fmt: skip


def _fired(row: Decision) -> list[RuleHit]:
    """The rules and lists that spoke when it was decided; not the draw that let it pass, which was of the
    other version's declines."""
    return [
        RuleHit(one["code"], Outcome(one["action"]), "", "", "", bool(one.get("shadow")))
        for one in row.evidence.reasons
        if one.get("action") and one["code"] != PASSED_THROUGH
    ]


def _count(run: ShadowRun, rows: Sequence[Decision], told: Sequence[ShadowScore]) -> None:
    cells: Counter[tuple[int, date, str, str]] = Counter(
        (one.site_id, business_day(row.decided_at), str(row.outcome), str(one.would_be))
        for row, one in zip(rows, told, strict=True)
    )
    for (site, day, was, would_be), n in sorted(cells.items()):  # so that no two workers wait crosswise
        run_sql(
            "INSERT INTO fraud_shadowcount (run_id, site_id, day, was, would_be, n)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (run_id, site_id, day, was, would_be)"
            " DO UPDATE SET n = fraud_shadowcount.n + excluded.n",
            [run.pk, site, connection.ops.adapt_datefield_value(day), was, would_be, n],
        )
