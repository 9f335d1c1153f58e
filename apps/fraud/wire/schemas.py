"""What programs send, checked field by field, and what they are told of having sent it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import BaseModel, Field, StrictBool

from apps.fraud.wire.wire_types import (
    STRICT,
    Amount,
    Bin,
    Code,
    Country,
    Currency,
    EventId,
    Ip,
    Label,
    Latitude,
    Longitude,
    Mcc,
    Message,
    Moment,
)


class ThreeDs(BaseModel):
    model_config = STRICT
    version: Code | None = None
    trans_status: Code | None = None
    eci: Code | None = None
    liability_shift: StrictBool | None = None


class EventIn(BaseModel):  # not ninja's Schema, which wraps every value to read it
    """One card event. Optional fields may be null or left out; unknown fields are refused."""

    model_config = STRICT
    event_id: EventId = Field(examples=["evt-000042"])
    type: Literal["authorization", "advice", "reversal", "partial_reversal", "refund"]
    occurred_at: Moment
    card_token: Label = Field(examples=["tok_7f3c"])
    amount_minor: Amount = Field(examples=[4250])
    currency: Currency = Field(examples=["EUR"])
    merchant_id: Label
    terminal_id: Label
    mcc: Mcc = Field(examples=["5411"])
    country: Country = Field(examples=["DE"])
    entry_mode: Literal["chip", "contactless", "magstripe", "manual", "ecommerce", "on_file", "unknown"]
    channel: Literal["pos", "ecom", "moto", "atm", "unknown"]
    device_id: Label | None = None
    ip: Ip | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    network_reference: Label | None = None
    original_event_id: EventId | None = None
    scheme: Code | None = None
    bin: Bin | None = None
    issuer_country: Country | None = None
    funding: Code | None = None
    auth_response: Code | None = None
    avs_result: Code | None = None
    cvv_result: Code | None = None
    three_ds: ThreeDs | None = None
    sca_exemption: Code | None = None
    initiator: Literal["CIT", "MIT"] | None = None


class LabelIn(BaseModel):
    """What became known of one event. The sender says whether it was fraud; codes are kept as they came."""

    model_config = STRICT
    event_id: EventId = Field(examples=["evt-000042"])
    fraud: StrictBool
    source: Literal["cardholder", "issuer", "tc40", "safe", "chargeback"]
    type: Literal[
        "lost", "stolen", "not_received", "false_application", "counterfeit", "account_takeover",
        "card_not_present", "payer_manipulation", "first_party", "merchant_misrepresentation", "other",
    ] | None = None  # fmt: skip
    scheme: Code | None = None
    raw_code: Code | None = None
    known_at: Moment | None = None


class ContestIn(BaseModel):
    """A customer does not agree with a decline. `contest_id` is yours; `message` what they say."""

    model_config = STRICT
    contest_id: EventId = Field(examples=["contest-17"])
    event_id: EventId = Field(examples=["evt-000042"])
    message: Message | None = None


class ContestOut(BaseModel):
    """`reasons`: why it was declined, for the customer. `outcome` and `answer` once a person looked."""

    contest_id: str
    event_id: str
    status: Literal["open", "settled"]
    reasons: list[str]
    opened_at: datetime
    outcome: Literal["upheld", "overturned"] | None
    answer: str | None
    settled_at: datetime | None


class LabelReceiptOut(BaseModel):
    accepted: int
    duplicates: int


class Receipt(BaseModel):
    accepted: list[str]
    duplicates: list[str]


class EventError(Schema):
    index: int
    event_id: str | None
    field: str
    code: str


class Problem(Schema):
    """RFC 9457 problem details."""

    title: str
    status: int
    code: str
    message: str
    retryable: bool
    errors: list[EventError] | None = None
