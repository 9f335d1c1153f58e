"""Make the running states again from what was decided and heard of, in the order in which it moved them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import record
from apps.fraud.models import (
    Decision,
    FraudLabel,
    HeardLater,
    KeyState,
    Mode,
    Reversal,
    ShardLock,
    Transaction,
)
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import Predictor
from apps.fraud.serving.rows import event_of, reversal_of
from apps.fraud.serving.services.sequence import latest_vectors
from ml.fraud.memory import CARD, keys_of, keys_of_label

CHUNK = 2000
What = Transaction | FraudLabel | Reversal
Step = tuple[int, int, int, What, str]  # decision, kind, order, what, artefact hash


@dataclass(slots=True)
class Rebuilt:
    """States by key, and the artefact whose network each card's memory belongs to."""

    states: dict[str, bytes] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)
    _predictors: dict[str, Predictor] = field(default_factory=dict)

    def hear(self, step: Step) -> None:
        decision, later, _, what, artefact_hash = step
        if isinstance(what, FraudLabel):
            result = inference.learn([what], self._of(keys_of_label(what.transaction)))
        elif isinstance(what, Reversal):
            result = inference.take_back([what], self._of(keys_of(reversal_of(what))))
        else:
            predictor, known = self._predictor(artefact_hash), self._of(keys_of(what))
            card = CARD + what.card_token
            if card in known and self.artefacts.get(card, artefact_hash) != artefact_hash:
                vectors = latest_vectors(what.source.site_id, what.card_token, before=decision + later)
                known[card] = predictor.remember(known[card], vectors)
            result = predictor.score_batch([event_of(what)], known, explain=False)
            self.artefacts[card] = artefact_hash
        self.states.update(result.states)

    def count(self, kind: str) -> int:
        return sum(key.startswith(kind) for key in self.states)

    def _predictor(self, artefact_hash: str) -> Predictor:
        if artefact_hash not in self._predictors:
            self._predictors[artefact_hash] = inference.predictor_of(artefact_hash)
        return self._predictors[artefact_hash]

    def _of(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self.states[key] for key in keys if key in self.states}


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


def differing(site: Site, made: Rebuilt) -> list[str]:
    """What is stored otherwise than made again: its kind and its row's id."""
    rows = KeyState.objects.filter(site=site).exclude(state=b"").order_by("pk")
    kept = {row.key: row for row in rows.iterator(CHUNK)}
    found = [
        f"{_kind(key)} {row.pk}" for key, row in kept.items() if bytes(row.state) != made.states.get(key, b"")
    ]
    return found + [f"{_kind(key)} without a row" for key in made.states if key not in kept]


def _kind(key: str) -> str:
    return key.partition(":")[0]


@transaction.atomic
def write(site: Site, made: Rebuilt) -> None:
    """Put them in place of those kept. Workers stand still meanwhile: every shard is held."""
    list(ShardLock.objects.select_for_update().order_by("pk"))
    KeyState.objects.filter(site=site).delete()
    KeyState.objects.bulk_create(
        [
            KeyState(site=site, key=key, state=state, artefact_hash=made.artefacts.get(key, ""), version=1)
            for key, state in sorted(made.states.items())
        ],
        batch_size=CHUNK,
    )
    detail = {"cards": made.count(CARD), "states": len(made.states)}
    record("states.rebuilt", site=site, actor=None, detail=detail)
