"""The event as it crosses the wire, checked field by field. Every failure has a stable code."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool
from pydantic_core import PydanticCustomError

from apps.core.clock import now
from apps.fraud.iso import COUNTRIES, CURRENCIES
from apps.fraud.models import AMOUNT_MAX_MINOR, MESSAGE_MAX

EVENT_ID = r"[A-Za-z0-9._:@=+~-]{1,128}"
# RFC 3339 section 5.6; `fromisoformat` alone also takes week dates and times without a zone.
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
CLOCK_SKEW = timedelta(minutes=5)


def fail(code: str) -> PydanticCustomError:
    return PydanticCustomError(code, "refused")


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise fail("not_a_string")
    return value


def label(value: str) -> str:
    """A name without control characters, lone surrogates, or blanks round it."""
    if not value:
        raise fail("empty")
    if len(value) > 128:
        raise fail("too_long")
    if not value.isprintable() or value != value.strip():
        raise fail("bad_characters")
    return value


def message(value: str) -> str:
    """What a person wrote: lines, and no other control characters."""
    if not value.strip():
        raise fail("empty")
    if len(value) > MESSAGE_MAX:
        raise fail("too_long")
    if not all(line.isprintable() for line in value.replace("\r\n", "\n").split("\n")):
        raise fail("bad_characters")
    return value


def matching(pattern: str, code: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise fail(code)
        return value

    return check


def member(allowed: frozenset[str], code: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in allowed:
            raise fail(code)
        return value

    return check


def amount(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise fail("not_an_integer")
    if value < 0:
        raise fail("negative")
    if value > AMOUNT_MAX_MINOR:
        raise fail("too_large")
    return value


def moment(value: Any) -> datetime:
    if not RFC_3339.fullmatch(text(value)):
        raise fail("not_rfc3339")
    try:
        parsed = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise fail("not_rfc3339") from None
    if parsed.year < 2000:
        raise fail("too_old")
    # A time far ahead would put the card's windows out of reach of its real next events.
    if parsed > now() + CLOCK_SKEW:
        raise fail("in_the_future")
    return parsed


def address(value: str) -> str:
    try:
        # A zone id (fe80::1%eth0) means something on one host only.
        if "%" in value:
            raise ValueError
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise fail("not_an_ip_address") from None


def degrees(limit: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise fail("not_a_number")
        if not -limit <= value <= limit or not math.isfinite(value):
            raise fail("out_of_range")
        return float(value)

    return check


Text = Annotated[str, BeforeValidator(text)]
EventId = Annotated[Text, AfterValidator(matching(EVENT_ID, "bad_event_id"))]
Label = Annotated[Text, AfterValidator(label)]
Message = Annotated[Text, AfterValidator(message)]
Code = Annotated[Text, AfterValidator(matching(r"[A-Za-z0-9_.-]{1,32}", "bad_code"))]
Country = Annotated[Text, AfterValidator(member(COUNTRIES, "not_iso_3166"))]
Currency = Annotated[Text, AfterValidator(member(CURRENCIES, "not_iso_4217"))]
Mcc = Annotated[Text, AfterValidator(matching(r"[0-9]{4}", "not_four_digits"))]
Bin = Annotated[Text, AfterValidator(matching(r"[0-9]{6,8}", "not_six_to_eight_digits"))]
Moment = Annotated[datetime, BeforeValidator(moment)]
Ip = Annotated[Text, AfterValidator(address)]
STRICT = ConfigDict(extra="forbid")


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
    amount_minor: Annotated[int, BeforeValidator(amount)] = Field(examples=[4250])
    currency: Currency = Field(examples=["EUR"])
    merchant_id: Label
    terminal_id: Label
    mcc: Mcc = Field(examples=["5411"])
    country: Country = Field(examples=["DE"])
    entry_mode: Literal["chip", "contactless", "magstripe", "manual", "ecommerce", "on_file", "unknown"]
    channel: Literal["pos", "ecom", "moto", "atm", "unknown"]
    device_id: Label | None = None
    ip: Ip | None = None
    latitude: Annotated[float, BeforeValidator(degrees(90))] | None = None
    longitude: Annotated[float, BeforeValidator(degrees(180))] | None = None
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
