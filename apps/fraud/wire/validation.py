"""Bytes to checked events: all of them, or an error for each thing that is wrong and none of them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from apps.core.errors import LynceusError
from apps.fraud.common.cardguard import Allowed, forbidden, holds_card_number, safe_name
from apps.fraud.wire.schemas import ContestIn, EventIn, LabelIn
from apps.fraud.wire.wire_types import EVENT_ID

Given = TypeVar("Given", EventIn, LabelIn, ContestIn)
EVENTS_MAX = 500
DEADLINE_MS = 80
DEADLINE_MAX_MS = 2000
_OWN_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "literal_error": "not_one_of",
    "bool_type": "not_a_boolean",
    "model_type": "not_an_object",
    "model_attributes_type": "not_an_object",
    "dict_type": "not_an_object",
}


@dataclass(frozen=True, slots=True)
class CheckedEvent:
    """A valid event and the SHA-256 of its canonical JSON (sorted keys, no blanks, UTF-8)."""

    event: EventIn
    body_sha256: str


def parse_body(body: bytes) -> list[Any]:
    """The events as decoded JSON. LynceusError 400 for what is not JSON, 422 for a wrong count."""

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        data = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object_once, parse_constant=refuse_constant
        )
    except (ValueError, RecursionError):
        raise LynceusError("invalid_json", "The body is not valid JSON in UTF-8.", status=400) from None
    events = data if isinstance(data, list) else [data]
    if not 1 <= len(events) <= EVENTS_MAX:
        raise LynceusError("wrong_event_count", f"Send 1 to {EVENTS_MAX} events.", status=422)
    return events


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two equal keys they take, so neither is taken."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def check_events(raw: list[Any], allowed: Allowed = Allowed()) -> list[CheckedEvent]:  # noqa: B008 - frozen
    """Every event checked, or LynceusError 422 whose `errors` name each fault."""
    events, errors = _checked(EventIn, raw, allowed)
    if errors:
        says = "The events are malformed; nothing was stored."
        raise LynceusError("invalid_events", says, status=422, extra={"errors": errors})
    return [CheckedEvent(event, canonical_sha256(item)) for event, item in zip(events, raw, strict=True)]


def check_labels(raw: list[Any], allowed: Allowed) -> list[LabelIn]:
    """Every label checked, or LynceusError 422 as for events."""
    labels, errors = _checked(LabelIn, raw, allowed)
    if errors:
        says = "The labels are malformed; nothing was stored."
        raise LynceusError("invalid_labels", says, status=422, extra={"errors": errors})
    return labels


def check_contest(raw: list[Any], allowed: Allowed) -> ContestIn:
    """The one contest, checked, or LynceusError 422 as for events."""
    if len(raw) != 1:
        raise LynceusError("wrong_event_count", "Send one contest.", status=422)
    contests, errors = _checked(ContestIn, raw, allowed)
    if errors:
        raise LynceusError(
            "invalid_contest", "The contest is malformed.", status=422, extra={"errors": errors}
        )
    return contests[0]


def _checked(
    schema: type[Given], raw: list[Any], allowed: Allowed
) -> tuple[list[Given], list[dict[str, Any]]]:
    """What is valid, and an error row for each fault.

    An item with a card number or a security code gets no further look, so that neither is copied
    into an error that somebody might print.
    """
    checked: list[Given] = []
    errors: list[dict[str, Any]] = []
    for index, item in enumerate(raw):
        if not isinstance(item, dict):
            errors.append(error_row(index, None, "", "not_an_object"))
            continue
        if found := forbidden(item, allowed):
            unknown = {field for field, _ in found if field.partition(".")[0] not in schema.model_fields}
            found += [(field, "unknown_field") for field in sorted(unknown)]
            errors += [error_row(index, _event_id(item), field, code) for field, code in found]
            continue
        try:
            checked.append(schema.model_validate(item))
        except ValidationError as failure:
            errors += [_error_of(index, item, detail) for detail in failure.errors()]
    return checked, errors


def deadline_of(header: str | None) -> int:
    """Milliseconds from the header `lynceus-deadline-ms`, cut to the most; LynceusError 422 if it is none."""
    if header is None:
        return DEADLINE_MS
    if not re.fullmatch(r"[0-9]{1,9}", header) or int(header) == 0:
        raise LynceusError(
            "bad_deadline", "lynceus-deadline-ms is a whole number of milliseconds above 0.", status=422
        )
    return min(int(header), DEADLINE_MAX_MS)


def canonical_sha256(item: dict[str, Any]) -> str:
    text = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def error_row(index: int, event_id: str | None, field: str, code: str) -> dict[str, Any]:
    return {"index": index, "event_id": event_id, "field": field, "code": code}


def _error_of(index: int, item: dict[str, Any], detail: Any) -> dict[str, Any]:
    field = ".".join(safe_name(str(part)) for part in detail["loc"])[:80]
    code = detail["type"]
    if code in ("missing", "extra_forbidden"):
        code = _OWN_CODES[code]
    elif detail["input"] is None:
        code = "required"
    else:
        code = _OWN_CODES.get(code, code)
    return error_row(index, _event_id(item), field, code)


def _event_id(item: dict[str, Any]) -> str | None:
    """The event's id as an answer may repeat it."""
    given = item.get("event_id")
    if not isinstance(given, str) or not re.fullmatch(EVENT_ID, given) or holds_card_number(given):
        return None
    return given
