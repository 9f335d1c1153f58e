"""The rules, ready to be asked of each row of a batch; the features they see where no model makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from apps.fraud.facts import Features, Payments
from apps.fraud.models import Transaction
from apps.fraud.rows import event_of
from apps.fraud.rules import RuleHit, Rules
from apps.fraud.services.states import Held, readable
from ml.fraud.absorb import absorb
from ml.fraud.contracts import Vector
from ml.fraud.features import observe
from ml.fraud.state import CardState, StateError, TerminalState

Ask = Callable[[Features | None], list[RuleHit]]
States = Mapping[str, bytes]


def asks_of(
    rules: Rules,
    rows: Sequence[Transaction],
    earlier: Sequence[Payments],
    cards: Mapping[str, Held],
    terminals: Mapping[str, Held],
) -> list[Ask]:
    """One function a row: the features the model made of it go in, or None; what fired comes out.

    `cards` and `terminals`: the locked states, none where they were not had. For None the features come from
    the reducer and these states as they are now, if a rule looks at any: they move before all are asked.
    """
    look = rules.look_at_state and bool(cards)
    before = (readable(cards), readable(terminals)) if look else ({}, {})

    @cache
    def seen() -> Sequence[Features | None]:
        return observed(rows, *before)

    def ask(index: int, features: Features | None) -> list[RuleHit]:
        if features is None and look and not event_of(rows[index]).too_old:
            features = seen()[index]
        return rules.hits(rows[index], earlier[index], features)

    return [partial(ask, index) for index in range(len(rows))]


def observed(rows: Sequence[Transaction], cards: States, terminals: States) -> Sequence[Vector | None]:
    """Float32 (N_FEATURES,) of each row in its order, later ones knowing of earlier ones; nothing is written.

    None for one that is too old, and for all of them where a state cannot be read.
    """
    try:
        card_of = {key: CardState.from_bytes(raw) for key, raw in cards.items()}
        terminal_of = {key: TerminalState.from_bytes(raw) for key, raw in terminals.items()}
    except StateError:
        return [None] * len(rows)
    found: list[Vector | None] = []
    for row in rows:
        event = event_of(row)
        if event.too_old:
            found.append(None)
            continue
        card = card_of.setdefault(row.card_token, CardState())
        terminal = terminal_of.setdefault(row.terminal_id, TerminalState())
        found.append(observe(event, card, terminal))
        absorb(event, card, terminal)
    return found
