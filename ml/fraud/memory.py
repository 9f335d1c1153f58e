"""The states of the keys in play, read from bytes once and written back once; and what moves them.

Serving, replay and rebuilding let events, labels and reversals in through this one door.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml.fraud.absorb import absorb, absorb_label, take_back
from ml.fraud.contracts import Event, Label, Reversal
from ml.fraud.features import values_of
from ml.fraud.state import CardState, Known, TerminalState
from ml.fraud.windows import Windows

States = Mapping[str, bytes]
CARD, TERMINAL, MERCHANT, DEVICE = "card:", "terminal:", "merchant:", "device:"


class Paid(Protocol):
    """An event, what takes one back, or a row that is to become one."""

    @property
    def card_token(self) -> str: ...
    @property
    def terminal_id(self) -> str: ...
    @property
    def merchant_id(self) -> str: ...
    @property
    def device_id(self) -> str: ...


def keys_of(paid: Paid) -> list[str]:
    """The keys of the states that a payment, or what takes it back, moves."""
    keys = [CARD + paid.card_token, TERMINAL + paid.terminal_id]
    if paid.merchant_id:
        keys.append(MERCHANT + paid.merchant_id)
    if paid.device_id:
        keys.append(DEVICE + paid.device_id)
    return keys


def keys_of_label(labelled: Paid | Label) -> list[str]:
    return [CARD + labelled.card_token, TERMINAL + labelled.terminal_id]


_KINDS: Mapping[str, tuple[str, Any]] = {
    CARD: ("cards", CardState), TERMINAL: ("terminals", TerminalState),
    MERCHANT: ("merchants", Windows), DEVICE: ("devices", Windows),
}  # fmt: skip


@dataclass(slots=True)
class Memory:
    """By token or id. One without a state is new, and gets its state when something first happens to it."""

    cards: dict[str, CardState] = field(default_factory=dict)
    terminals: dict[str, TerminalState] = field(default_factory=dict)
    merchants: dict[str, Windows] = field(default_factory=dict)
    devices: dict[str, Windows] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Iterable[str], states: States) -> Memory:
        """Raises StateError for bytes that are no state."""
        memory = cls()
        for key in dict.fromkeys(keys):
            kind, _, name = key.partition(":")
            field_name, made = _KINDS[kind + ":"]
            getattr(memory, field_name)[name] = made.from_bytes(states[key]) if key in states else made()
        return memory

    def to_bytes(self) -> dict[str, bytes]:
        return {
            kind + name: state.to_bytes()
            for kind, (field_name, _) in _KINDS.items()
            for name, state in getattr(self, field_name).items()
        }

    def about(self, event: Event) -> Known:
        """What is known just before the event; of one that came too late nothing, and it leaves no trace."""
        if event.too_old:
            return Known(CardState(), TerminalState())
        return self._of(event)

    def _of(self, one: Event | Reversal) -> Known:
        return Known(
            self.card(one.card_token),
            self.terminal(one.terminal_id),
            _got(self.merchants, one.merchant_id),
            _got(self.devices, one.device_id),
        )

    def advance(self, event: Event) -> list[float]:
        """The event's features, (N_FEATURES,); the states then know of it."""
        known = self.about(event)
        features = values_of(event, known)
        absorb(event, known)
        return features

    def hear(self, label: Label) -> None:
        """What became known of an earlier event; not before it was."""
        absorb_label(label, self.card(label.card_token), self.terminal(label.terminal_id))

    def take_back(self, reversal: Reversal) -> None:
        take_back(reversal, self._of(reversal))

    def card(self, token: str) -> CardState:
        if (state := self.cards.get(token)) is None:
            state = self.cards[token] = CardState()
        return state

    def terminal(self, name: str) -> TerminalState:
        if (state := self.terminals.get(name)) is None:
            state = self.terminals[name] = TerminalState()
        return state


def _got(states: dict[str, Windows], name: str) -> Windows | None:
    if not name:
        return None
    if (state := states.get(name)) is None:
        state = states[name] = Windows()
    return state
