"""What programs are told of the queue: its work items."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field


class WorkOut(Schema):
    """One work item: a card's open alerts of one desk. Amounts in minor units of `currency`."""

    id: int
    desk: Literal["loss", "friction"]
    card_end: str
    alert_count: int
    amount_minor: int
    at_stake_minor: int
    currency: str
    opened_at: datetime
    due_at: datetime
    overdue: bool
    locked_by: str | None
    locked_until: datetime | None
    assignee: str | None
    escalated_at: datetime | None
    snoozed_until: datetime | None
    event_id: str = Field(description="Of its open alert with the most at stake.")
    source: str
    main_reason: str


class WorkPageOut(Schema):
    items: list[WorkOut]
    next: str = Field(description="What `after` takes for the page that follows; empty after the last.")


class WorkQuery(Schema):
    model_config = ConfigDict(extra="forbid")
    desk: Literal["loss", "friction"] = "loss"
    state: Literal["", "free", "overdue", "escalated", "snoozed"] = ""
    at_least_minor: Annotated[int, Field(ge=0, lt=2**63)] = 0
    after: Annotated[str, Field(max_length=40)] = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 50
