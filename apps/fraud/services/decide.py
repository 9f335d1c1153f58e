"""The one engine. Every door decides through `decide_transactions`, in ONE database transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db import transaction
from django.db.models import Q

from apps.accounts.models import Site
from apps.fraud import inference
from apps.fraud.models import CardState, Decision, EventType, Mode, TerminalState, Transaction
from apps.fraud.rows import event_of
from apps.fraud.rules import WINDOW
from apps.fraud.services.rulesets import active_rules
from apps.fraud.services.seen import Ask, asks_of
from apps.fraud.services.sequence import card_states
from apps.fraud.services.states import lock_states, readable, store_states
from apps.fraud.services.verdicts import DEADLINE, STATE_BUSY, Judged, write_decisions

SEQUENCE_ANEW = "sequence_anew"
NEAR_MAX = 2000


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
    rules = active_rules(site)
    asks = asks_of(rules, rows, _last_hour(site, rows), cards, terminals)
    model = inference.current_champion(hurry.until if hurry else None)
    if isinstance(model, inference.NoAnswer):
        judged = _by_rules(rows, asks, model.reason)
    elif hurry and hurry.without_state:
        judged = _judge_cold(model, rows, asks, hurry.until)
    else:
        judged = _judge(model, site, rows, asks, cards, terminals, hurry.until if hurry else None)
    return write_decisions(site, judged, rules.version)


def _by_rules(rows: list[Transaction], asks: list[Ask], why: str) -> list[Judged]:
    return [Judged(row, ask(None), None, Mode.RULES_ONLY, why) for row, ask in zip(rows, asks, strict=True)]


def _judge(
    model: inference.Champion,
    site: Site,
    rows: list[Transaction],
    asks: list[Ask],
    cards: dict[str, CardState],
    terminals: dict[str, TerminalState],
    until: float | None,
) -> list[Judged]:
    events = [event_of(row) for row in rows]
    known, forgotten = card_states(model, site.pk, cards)
    answer = inference.score_in_time(model, events, known, readable(terminals), until)
    if answer is None:
        return _by_rules(rows, asks, DEADLINE)
    store_states(CardState, cards, answer.card_states, model.artefact_hash)
    store_states(TerminalState, terminals, answer.terminal_states, model.artefact_hash)
    reasons = [SEQUENCE_ANEW if row.card_token in forgotten else "" for row in rows]
    return _judged(answer, rows, asks, [(Mode.FULL, reason) for reason in reasons])


def _judge_cold(
    model: inference.Champion, rows: list[Transaction], asks: list[Ask], until: float
) -> list[Judged]:
    """Each as if its card and terminal were new: somebody else holds their states."""
    events = [event_of(row) for row in rows]
    answer = inference.score_in_time(model, events, {}, {}, until)
    if answer is None:
        return _by_rules(rows, asks, DEADLINE)
    return _judged(answer, rows, asks, [(Mode.NO_STATE, STATE_BUSY)] * len(rows))


def _judged(
    answer: inference.Answer,
    rows: list[Transaction],
    asks: list[Ask],
    modes: list[tuple[Mode, str]],
) -> list[Judged]:
    return [
        Judged(row, ask(None), None, Mode.RULES_ONLY, "model_failed")
        if score is None
        else Judged(
            row, ask(score.vector if mode == Mode.FULL else None), score, mode, why,
            answer.number, answer.artefact_hash, answer.thresholds,
        )
        for row, ask, score, (mode, why) in zip(rows, asks, answer.scores, modes, strict=True)
    ]  # fmt: skip


def _last_hour(site: Site, rows: list[Transaction]) -> list[list[Transaction]]:
    """For each row, the card's transactions stored before it that happened within WINDOW of it.

    The newest NEAR_MAX for all of them: a token that a thousand people share must not be read whole.
    """
    near = Transaction.objects.filter(
        _near(rows), source__site=site, type__in=(EventType.AUTHORIZATION, EventType.ADVICE)
    ).only("id", "card_token", "occurred_at", "country", "entry_mode", "channel")
    by_card: dict[str, list[Transaction]] = defaultdict(list)
    for other in near.order_by("-id")[:NEAR_MAX]:
        by_card[other.card_token].append(other)
    return [
        [
            other
            for other in by_card[row.card_token]
            if other.pk < row.pk and abs(other.occurred_at - row.occurred_at) <= WINDOW
        ]
        for row in rows
    ]


def _near(rows: list[Transaction]) -> Q:
    """The rows' cards, each about its own times: one old event must not open years of the others."""
    times: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        times[row.card_token].append(row.occurred_at)
    first, last = min(map(min, times.values())), max(map(max, times.values()))
    if last - first <= WINDOW:  # the usual case, and one condition is read faster than sixty
        return Q(card_token__in=times, occurred_at__range=(first - WINDOW, last + WINDOW))
    near = Q()
    for card, at in times.items():
        near |= Q(card_token=card, occurred_at__range=(min(at) - WINDOW, max(at) + WINDOW))
    return near
