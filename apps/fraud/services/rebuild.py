"""Make the running states again from what was decided and heard of, in the order in which it moved them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import record
from apps.fraud import inference
from apps.fraud.models import (
    CardState,
    Decision,
    FraudLabel,
    HeardLater,
    Mode,
    Reversal,
    ShardLock,
    TerminalState,
    Transaction,
)
from apps.fraud.rows import event_of
from apps.fraud.services.sequence import latest_vectors

CHUNK = 2000
What = Transaction | FraudLabel | Reversal
Step = tuple[int, int, int, What, str]  # decision, kind, order, what, artefact hash


@dataclass(slots=True)
class Rebuilt:
    """States by key, and the artefact whose network each card's memory belongs to."""

    cards: dict[str, bytes] = field(default_factory=dict)
    terminals: dict[str, bytes] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)
    _predictors: dict[str, inference.Predictor] = field(default_factory=dict)

    def hear(self, step: Step) -> None:
        decision, later, _, what, artefact_hash = step
        if isinstance(what, FraudLabel):
            paid = what.transaction
            result = inference.learn([what], self._card(paid), self._terminal(paid))
        elif isinstance(what, Reversal):
            result = inference.take_back([what], self._card(what.transaction))
        else:
            predictor, card = self._predictor(artefact_hash), self._card(what)
            if card and self.artefacts.get(what.card_token, artefact_hash) != artefact_hash:
                vectors = latest_vectors(what.source.site_id, what.card_token, before=decision + later)
                card = {what.card_token: predictor.remember(card[what.card_token], vectors)}
            result = predictor.score_batch([event_of(what)], card, self._terminal(what), explain=False)
            self.artefacts[what.card_token] = artefact_hash
        self.cards.update(result.card_states)
        self.terminals.update(result.terminal_states)

    def _predictor(self, artefact_hash: str) -> inference.Predictor:
        if artefact_hash not in self._predictors:
            self._predictors[artefact_hash] = inference.predictor_of(artefact_hash)
        return self._predictors[artefact_hash]

    def _card(self, row: Transaction) -> dict[str, bytes]:
        return {row.card_token: self.cards[row.card_token]} if row.card_token in self.cards else {}

    def _terminal(self, row: Transaction) -> dict[str, bytes]:
        return {row.terminal_id: self.terminals[row.terminal_id]} if row.terminal_id in self.terminals else {}


def rebuild(site: Site, as_of: datetime | None = None) -> Rebuilt:
    """The states as they were after the last thing decided or heard of up to `as_of` (default: all).

    LynceusError where an artefact that moved them is no longer kept.
    """
    states = Rebuilt()
    for step in heapq.merge(_decided(site, as_of), _heard(site, as_of), key=lambda step: step[:3]):
        states.hear(step)
    return states


def _decided(site: Site, as_of: datetime | None) -> Iterator[Step]:
    """Decisions that moved the states."""
    made = Decision.objects.filter(transaction__source__site=site, mode=Mode.FULL)
    if as_of is not None:
        made = made.filter(decided_at__lte=as_of)
    made = made.select_related("transaction__source").order_by("pk")
    for one in made.iterator(CHUNK):
        yield one.pk, 0, 0, one.transaction, one.artefact_hash


def _heard(site: Site, as_of: datetime | None) -> Iterator[Step]:
    heard = HeardLater.objects.select_related(
        "transaction__source", "label__transaction__source", "reversal__transaction__source",
        "reversal__original",
    )  # fmt: skip
    if as_of is not None:
        heard = heard.filter(at__lte=as_of)
    for one in heard.order_by("after_decision", "pk").iterator(CHUNK):
        what: Any = one.transaction or one.label or one.reversal
        paid = what if one.transaction else what.transaction
        if paid.source.site_id == site.pk:
            yield one.after_decision, 1, one.pk, what, one.artefact_hash


def differing(site: Site, states: Rebuilt) -> list[str]:
    """What is stored otherwise than made again: "card" or "terminal" and its row's id."""
    found = []
    for name, model, made in _tables(states):
        rows = model._default_manager.filter(site=site).exclude(state=b"").order_by("pk")
        kept = {row.key: row for row in rows.iterator(CHUNK)}
        found += [f"{name} {row.pk}" for key, row in kept.items() if bytes(row.state) != made.get(key, b"")]
        found += [f"{name} without a row" for key in made if key not in kept]
    return found


def _tables(states: Rebuilt) -> tuple[tuple[str, Any, dict[str, bytes]], ...]:
    return ("card", CardState, states.cards), ("terminal", TerminalState, states.terminals)


@transaction.atomic
def write(site: Site, states: Rebuilt) -> None:
    """Put them in place of those kept. Workers stand still meanwhile: every shard is held."""
    list(ShardLock.objects.select_for_update().order_by("pk"))
    for _, model, made in _tables(states):
        model._default_manager.filter(site=site).delete()
        model._default_manager.bulk_create(
            [
                model(site=site, key=key, state=state, artefact_hash=states.artefacts.get(key, ""), version=1)
                for key, state in sorted(made.items())
            ],
            batch_size=CHUNK,
        )
    detail = {"cards": len(states.cards), "terminals": len(states.terminals)}
    record("states.rebuilt", site=site, actor=None, detail=detail)
