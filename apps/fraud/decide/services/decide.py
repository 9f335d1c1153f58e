"""The one engine. Every door decides through `decide_transactions`, in ONE database transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from django.db import transaction

from apps.accounts.models import Site
from apps.fraud.decide.services.earlier import with_earlier
from apps.fraud.decide.services.look import Looked, look
from apps.fraud.decide.services.pass_through import let_some_through
from apps.fraud.decide.services.seen import Ask, asks_of
from apps.fraud.decide.services.verdicts import (
    DEADLINE,
    MODEL_FAILED,
    STATE_BUSY,
    Judged,
    outcome_of,
    write_decisions,
)
from apps.fraud.models import TOO_OLD, Decision, Mode, Outcome, Transaction
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import Answer, Champion, NoAnswer
from apps.fraud.serving.rows import event_of
from apps.fraud.serving.services.sequence import states_for
from apps.fraud.serving.services.states import store_states
from ml.fraud.contracts import Thresholds

SEQUENCE_ANEW = "sequence_anew"


@dataclass(frozen=True, slots=True)
class Hurry:
    """Until when (time.monotonic) the model may think, and whether to go without the locked states."""

    until: float
    without_state: bool = False


def decide_transactions(
    batch: Sequence[Transaction], hurry: Hurry | None = None, first: Callable[[], None] | None = None
) -> list[Decision]:
    """Decide transactions, oldest first, inside the caller's transaction; `first` may store them.

    Decision, evidence, alert, new states, outbox and audit rows commit with it or not at all.
    Raises AlreadyDecided when a row that was pending is not any more.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("decide_transactions needs a transaction round it")
    decisions: list[Decision] = []
    by_site = sorted(batch, key=lambda row: (row.source.site_id, row.pk))
    for _, rows in groupby(by_site, key=lambda row: row.source.site_id):
        decisions += _decide_for_site(list(rows), hurry, first)
        first = None
    return decisions


def _decide_for_site(
    rows: list[Transaction], hurry: Hurry | None, first: Callable[[], None] | None
) -> list[Decision]:
    site = rows[0].source.site
    seen = look(site, rows, locking=not (hurry and hurry.without_state), first=first)
    asks = asks_of(seen.rules, rows, seen.earlier, seen.states)
    judged, states = _judged(site, rows, asks, seen, hurry)
    keep = partial(_keep, site.pk, seen, states) if states else None
    return write_decisions(site, judged, seen, keep)


def _judged(
    site: Site, rows: list[Transaction], asks: list[Ask], seen: Looked, hurry: Hurry | None
) -> tuple[list[Judged], Answer | None]:
    """What each comes to, and the answer whose states are to be kept; None where they do not move."""
    cold, until = hurry is not None and hurry.without_state, hurry.until if hurry else None
    model = inference.loaded(seen.serving, until)
    if isinstance(model, NoAnswer):
        return _by_rules(rows, asks, model.reason), None
    known, forgotten = ({}, set()) if cold else states_for(model, site.pk, seen.states)
    events = [event_of(row) for row in rows]
    answer = inference.score_in_time(model, events, known, until)
    if answer is None:
        return _by_rules(rows, asks, DEADLINE), None
    limits = seen.rules.limits_now(answer.artefact_hash, answer.thresholds)
    # Without the states each is judged as if its card and terminal were new: somebody else holds them, or
    # they tell of other times.
    modes = [
        (Mode.NO_STATE, TOO_OLD if event.too_old else STATE_BUSY)
        if cold or event.too_old
        else (Mode.FULL, SEQUENCE_ANEW * (event.card_token in forgotten))
        for event in events
    ]
    judged = let_some_through(site, _by_model(answer, limits, rows, asks, modes), seen)
    judged = _explained(model, judged, until)
    judged = with_earlier(model, site.pk, judged, seen.decision_ids, until)
    return judged, None if cold else answer


def _keep(site_id: int, seen: Looked, answer: Answer) -> None:
    store_states(site_id, seen.states, answer.states, answer.artefact_hash)


def _by_rules(rows: list[Transaction], asks: list[Ask], why: str) -> list[Judged]:
    return [Judged(row, ask(None), None, Mode.RULES_ONLY, why) for row, ask in zip(rows, asks, strict=True)]


def _by_model(
    answer: Answer,
    limits: Thresholds,
    rows: list[Transaction],
    asks: list[Ask],
    modes: list[tuple[Mode, str]],
) -> list[Judged]:
    return [
        Judged(row, ask(None), None, Mode.RULES_ONLY, MODEL_FAILED)
        if score is None
        else Judged(
            row, ask(score.vector if mode == Mode.FULL else None), score, mode, why,
            answer.number, answer.artefact_hash, limits,
        )
        for row, ask, score, (mode, why) in zip(rows, asks, answer.scores, modes, strict=True)
    ]  # fmt: skip


def _explained(model: Champion, judged: list[Judged], until: float | None) -> list[Judged]:
    """With the model's reasons for what is not simply approved; of the rest they are made when somebody
    asks, from the vector that is kept."""
    told = {
        at: item.score for at, item in enumerate(judged) if item.score and outcome_of(item) != Outcome.APPROVE
    }
    reasons = inference.explain_in_time(model, [score.vector for score in told.values()], until)
    scores = {
        at: replace(score, reasons=why) for (at, score), why in zip(told.items(), reasons, strict=False)
    }
    return [replace(item, score=scores.get(at, item.score)) for at, item in enumerate(judged)]
