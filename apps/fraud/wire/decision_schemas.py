"""What programs are told of a decision."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

PAGE, PAGE_MAX = 100, 500


class EarlierEventOut(BaseModel):
    """One of the card's earlier payments, and the log-odds it moved the recurrent network by."""

    event_id: str
    occurred_at: datetime
    weight: float


class ReasonOut(BaseModel):
    """Of the reason `sequence`, which is the recurrent network's, also what its weight is made of:
    `this_event` by itself, the `earlier_events` that moved it most, and `other_events`."""

    code: str
    text: str
    value: float | str | None
    baseline: float | str | None
    weight: float | None
    action: str | None = None  # what a rule or list asked for; null for the model's
    this_event: float | None = None
    earlier_events: list[EarlierEventOut] | None = None
    other_events: float | None = None


class TakenBackOut(BaseModel):
    """Which event it takes back, null until that is known; and in the reporting currency how much of it was
    taken off its card's amounts, null until that is done."""

    event_id: str | None
    amount_minor: int | None


class RescoredOut(BaseModel):
    """What the model said after the fact of a payment decided without it or without the card's history.
    `decision` is what that score alone asks for; the decision itself stands."""

    score: float
    decision: str
    model_version: int
    at: datetime


class DecisionOut(BaseModel):
    """`decision` is null for reversals and refunds, which say what they took back."""

    event_id: str
    status: str
    decision: str | None
    action: str | None = None
    score: float | None = None
    mode: str | None = None
    mode_reason: str | None = None
    reasons: list[ReasonOut] = Field(default_factory=list)
    thresholds: dict[str, float] | None = None
    model_version: int | None = None
    artefact_hash: str | None = None
    ruleset_version: int | None = None
    deadline_hit: bool | None = None
    duplicate_of: str | None = None
    decided_at: datetime | None = None
    latency_ms: float | None = None
    takes_back: TakenBackOut | None = None
    rescored: RescoredOut | None = None


class PendingOut(BaseModel):
    event_id: str
    status: str


class ListedOut(BaseModel):
    """`card` is the end of the token. `known`: what the last label says. Amounts in minor units."""

    event_id: str
    source: str
    decided_at: datetime
    occurred_at: datetime
    type: str
    card: str
    amount_minor: int
    currency: str
    amount_reporting_minor: int
    merchant_id: str
    terminal_id: str
    mcc: str
    country: str
    entry_mode: str
    channel: str
    decision: str
    mode: str
    mode_reason: str
    score: float | None
    review_threshold: float | None
    decline_threshold: float | None
    model_version: int | None
    ruleset_version: int
    main_reason: str
    latency_ms: float
    known: str
    rescored: RescoredOut | None


class DecisionsOut(BaseModel):
    """`next` is the `cursor` of the page that follows; null on the last one."""

    items: list[ListedOut]
    next: str | None


class DecisionsQuery(BaseModel):
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    outcome: Literal["", "approve", "review", "decline"] = ""
    mode: Literal["", "full", "no_state", "rules_only"] = ""
    known: Literal["", "fraud", "legitimate", "unknown"] = ""
    source: Annotated[str, Field(max_length=60, pattern=r"^[-a-zA-Z0-9_]*$")] = ""
    cursor: Annotated[str, Field(max_length=80)] = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE
