"""The kinds of value that cross the wire, each checked. Every failure has a stable code."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from apps.core.clock import now
from apps.fraud.common.iso import COUNTRIES, CURRENCIES
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
Amount = Annotated[int, BeforeValidator(amount)]
Latitude = Annotated[float, BeforeValidator(degrees(90))]
Longitude = Annotated[float, BeforeValidator(degrees(180))]
STRICT = ConfigDict(extra="forbid")
