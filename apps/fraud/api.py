"""The doors for programs: events in, decisions out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest
from ninja import Router
from ninja.params import Query

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.audit.services import Actor, record
from apps.core.errors import LynceusError
from apps.fraud.answers import answer_of
from apps.fraud.models import Source, TransactionStatus
from apps.fraud.schemas import (
    DecisionOut,
    EventIn,
    LabelIn,
    LabelReceiptOut,
    PendingOut,
    Problem,
    Receipt,
)
from apps.fraud.selectors import active_source, sources_of, transaction_by_event
from apps.fraud.services.decide_now import Asked
from apps.fraud.services.ingest import ingest_transactions
from apps.fraud.services.labels import store_labels
from apps.fraud.services.pressure import refuse_when_full, refuse_when_storage_is_low
from apps.fraud.services.reasons import reasons_of
from apps.fraud.services.sources import allowed_of, valid_secrets
from apps.fraud.services.states import Busy
from apps.fraud.services.together import decide_together
from apps.fraud.signatures import verify
from apps.fraud.validation import EVENTS_MAX, check_events, check_labels, deadline_of, parse_body

log = structlog.get_logger(__name__)
router = Router(tags=["fraud"])
BODY_MAX_BYTES = 2 * 1024 * 1024
RETRY_AFTER_S = 1
_EVENT = EventIn.model_json_schema()
_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature", "lynceus-source")


def _headers(names: Iterable[str], *, required: bool) -> list[dict[str, Any]]:
    return [
        {"in": "header", "name": name, "required": required, "schema": {"type": "string"}} for name in names
    ]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _one_or_list(item: dict[str, Any]) -> dict[str, Any]:
    return _json({"oneOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": EVENTS_MAX}]})


_DOCUMENTED_BODY = {"parameters": _headers(_SIGNED, required=True), "requestBody": _one_or_list(_EVENT)}
_DOCUMENTED_EVENT = {
    "parameters": _headers((*_SIGNED, "lynceus-deadline-ms"), required=False), "requestBody": _json(_EVENT)
}  # fmt: skip
_DOCUMENTED_LABELS = {
    "parameters": _headers(_SIGNED, required=False), "requestBody": _one_or_list(LabelIn.model_json_schema())
}  # fmt: skip
_REFUSED = {status: Problem for status in (400, 401, 409, 413, 422, 503)}


@router.post(
    "/transactions",
    response={202: Receipt, **_REFUSED, 429: Problem},
    openapi_extra=_DOCUMENTED_BODY,
    summary="Send one event or a list of up to 500, signed after Standard Webhooks",
)
def receive_transactions(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Durable before the 202. All events are stored or none; sending again does no harm."""
    body = _body_of(request)
    with _stored_or_503():
        source = _signed_source(request, body)
        refuse_when_full()
        receipt = ingest_transactions(
            source=source, events=check_events(parse_body(body), allowed_of(source))
        )
    return 202, {"accepted": receipt.accepted, "duplicates": receipt.duplicates}


@router.post(
    "/decisions",
    response={200: DecisionOut, **_REFUSED, 403: Problem},
    openapi_extra=_DOCUMENTED_EVENT,
    summary="Decide one event now, within a deadline",
)
def decide_event(request: HttpRequest) -> dict[str, Any]:
    """Stored before it is answered. The same event again gets the decision it got."""
    started = time.monotonic()
    until = started + deadline_of(request.headers.get("lynceus-deadline-ms")) / 1000
    body = _body_of(request)
    with _stored_or_503():
        source, actor = _signed_or_client(request, body)
        refuse_when_storage_is_low()
        events = parse_body(body)
        if len(events) != 1:
            raise LynceusError("wrong_event_count", "Send one event.", status=422)
        [item] = check_events(events, allowed_of(source))
        return answer_of(decide_together(Asked(source, item, actor), until))


@router.post(
    "/labels",
    response={202: LabelReceiptOut, **dict.fromkeys((400, 401, 403, 413, 422, 503), Problem)},
    openapi_extra=_DOCUMENTED_LABELS,
    summary="Tell what became known of events: fraud or legitimate",
)
def receive_labels(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """All labels are kept or none; sending again does no harm. The next scores know of them."""
    body = _body_of(request)
    with _stored_or_503():
        source, actor = _signed_or_client(request, body)
        labels = check_labels(parse_body(body), allowed_of(source))
        receipt = store_labels(source=source, labels=labels, actor=actor)
    return 202, {"accepted": receipt.accepted, "duplicates": receipt.duplicates}


def _signed_or_client(request: HttpRequest, body: bytes) -> tuple[Source, Actor]:
    if "webhook-signature" in request.headers:
        return _signed_source(request, body), None
    return _source_of_client(request)


def _signed_source(request: HttpRequest, body: bytes) -> Source:
    source = active_source(request.headers.get("lynceus-source", ""))
    if source is None:
        raise LynceusError("unknown_source", "The header lynceus-source names no active source.", status=401)
    verify(request.headers, body, valid_secrets(source))
    return source


def _source_of_client(request: HttpRequest) -> tuple[Source, Actor]:
    """The source a program with a token speaks for: one of its own site. People have no say here."""
    caller = caller_of(request, scope="fraud", roles=())
    source = active_source(request.headers.get("lynceus-source") or _default_source(caller))
    if source is None or source.site_id != caller.site.pk:
        raise LynceusError("unknown_source", "The header lynceus-source names no active source.", status=401)
    return source, caller.client


@contextmanager
def _stored_or_503() -> Iterator[None]:
    """What the database did not take was not accepted, and the caller hears so."""
    try:
        yield
    except (OperationalError, InterfaceError, Busy) as error:
        log.warning("not_stored", error=type(error).__name__)
        raise LynceusError(
            "not_stored",
            "Nothing was stored: the database did not answer. Send it again.",
            status=503,
            retryable=True,
            retry_after_s=RETRY_AFTER_S,
        ) from None


def _body_of(request: HttpRequest) -> bytes:
    too_large = LynceusError("body_too_large", f"Send at most {BODY_MAX_BYTES} bytes.", status=413)
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > BODY_MAX_BYTES:
        raise too_large
    try:
        body = request.body
    except RequestDataTooBig:
        raise too_large from None
    if len(body) > BODY_MAX_BYTES:
        raise too_large
    return body


@router.get(
    "/decisions/{event_id}",
    response={200: DecisionOut, 202: PendingOut, 401: Problem, 403: Problem, 404: Problem, 422: Problem},
    summary="The decision on one event",
)
def get_decision(
    request: HttpRequest,
    event_id: str,
    source: Annotated[str, Query(max_length=60)] = "",
) -> tuple[int, dict[str, Any]]:
    """202 while pending. `source` defaults to the token's own, or the site's where it has one only."""
    caller = caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))
    slug = source or _default_source(caller)
    with transaction.atomic():
        row = transaction_by_event(site=caller.site, source_slug=slug, event_id=event_id)
        if row is None:
            raise LynceusError("not_found", "No such event from this source.", status=404)
        record(
            "transaction.viewed",
            site=caller.site,
            actor=caller.user or caller.client,
            subject=f"transaction:{row.pk}",
        )
    if row.status == TransactionStatus.PENDING:
        return 202, {"event_id": row.event_id, "status": row.status}
    answer = answer_of(row)
    if row.status == TransactionStatus.DECIDED:
        answer["reasons"] = reasons_of(row.decision)
    return 200, answer


def _default_source(caller: Caller) -> str:
    if caller.client is not None and caller.client.source_slug:
        return caller.client.source_slug
    slugs = list(sources_of(caller.site).values_list("slug", flat=True)[:2])
    if len(slugs) == 1:
        return slugs[0]
    raise LynceusError("source_required", "Say which source: ?source=...", status=422)
