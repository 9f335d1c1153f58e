"""The rules, ready to be asked of each row of a batch; the features they see where no model makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np

from apps.fraud.models import Transaction
from apps.fraud.rules.facts import Features, Payments
from apps.fraud.rules.rules import RuleHit, Rules
from apps.fraud.serving.rows import event_of
from apps.fraud.serving.services.states import Held, readable
from ml.fraud.contracts import Vector
from ml.fraud.memory import Memory, States, keys_of
from ml.fraud.windows import StateError

Ask = Callable[[Features | None], list[RuleHit]]


def asks_of(
    rules: Rules,
    rows: Sequence[Transaction],
    earlier: Sequence[Payments],
    states: Mapping[str, Held],
) -> list[Ask]:
    """One function a row: the features the model made of it go in, or None; what fired comes out.

    `states`: the locked ones, none where they were not had. For None the features come from
    the reducer and these states as they are now, if a rule looks at any: they move before all are asked.
    """
    look = rules.look_at_state and bool(states)
    before = readable(states) if look else {}

    @cache
    def seen() -> Sequence[Features | None]:
        return observed(rows, before)

    def ask(index: int, features: Features | None) -> list[RuleHit]:
        if features is None and look and not event_of(rows[index]).too_old:
            features = seen()[index]
        return rules.hits(rows[index], earlier[index], features)

    return [partial(ask, index) for index in range(len(rows))]


def observed(rows: Sequence[Transaction], states: States) -> Sequence[Vector | None]:
    """Float32 (N_FEATURES,) of each row in its order, later ones knowing of earlier ones; nothing is written.

    None for one that is too old, and for all of them where a state cannot be read.
    """
    events = [event_of(row) for row in rows]
    try:
        memory = Memory.of([key for event in events for key in keys_of(event)], states)
    except StateError:
        return [None] * len(rows)
    return [None if event.too_old else np.array(memory.advance(event), np.float32) for event in events]
