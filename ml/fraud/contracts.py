"""Fraud's border types, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]
NETWORK = "sequence"  # the code of the reason that tells what the network added
LONGEST_WINDOW_US = 30 * 24 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One card transaction as the engine sees it. Money is integer minor units, time is epoch µs UTC.

    `amount_minor` is in the reporting currency; the original stays with the stored transaction.
    """

    event_id: str
    type: str
    occurred_at_us: int
    card_token: str
    amount_minor: int
    currency: str
    merchant_id: str
    terminal_id: str
    mcc: str
    country: str
    entry_mode: str = "unknown"
    channel: str = "unknown"
    device_id: str = ""
    ip: str = ""
    latitude: float | None = None
    longitude: float | None = None
    received_at_us: int = 0  # when it came; 0 where that is not known
    utc_offset_us: int = 0  # how far the business clock was ahead of UTC when it happened

    @property
    def too_old(self) -> bool:
        """Whether it lay beyond the longest window when it came: the states neither tell of it nor hear."""
        return self.occurred_at_us < self.received_at_us - LONGEST_WINDOW_US


@dataclass(frozen=True, slots=True)
class Label:
    """What became known of an event at `known_at_us`, with as much of the event as the states need."""

    card_token: str
    terminal_id: str
    occurred_at_us: int
    known_at_us: int
    amount_minor: int
    fraud: bool
    utc_offset_us: int = 0  # of the business clock when the event happened


@dataclass(frozen=True, slots=True)
class Reversal:
    """What takes back part or all of a payment, in the reporting currency: never more than it added."""

    card_token: str
    terminal_id: str
    occurred_at_us: int  # when the payment happened, whose hour and day the amount was added to
    amount_minor: int
    merchant_id: str = ""
    device_id: str = ""
    utc_offset_us: int = 0  # of the business clock then


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a score is what it is: a stable code, plain words, value and baseline, weight in log-odds."""

    code: str
    text: str
    value: float | str | None
    baseline: float | str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Influence:
    """What the network's addition to one event's log-odds is made of: the parts add up to it.

    `by_itself`: what the event would have been given with no history; `of_earlier`: what each earlier event
    changed, in their order; `rest`: of all the network remembered beyond those.
    """

    by_itself: float
    of_earlier: tuple[float, ...]
    rest: float


@dataclass(frozen=True, slots=True)
class EventScore:
    """The model's answer for one event; `vector` is the features the trees saw, float32 (n_features,)."""

    event_id: str
    score: float
    gru_logit: float
    vector: Vector
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptVector:
    """What a decision was made from, as it is kept: whose `card`, and float32 (N_FEATURES + 1,).

    `knowing`: made with the card's history, else as of a card never seen; `heard`: the network remembers it.
    """

    card: str
    vector: Vector
    knowing: bool
    heard: bool


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Scores in the order of the events, and by key every touched state after the last of them."""

    scores: tuple[EventScore, ...]
    states: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """score >= decline declines, >= review wants a person, else approve."""

    review: float
    decline: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    values: Mapping[str, Any]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


EventBatch = Sequence[Event]
