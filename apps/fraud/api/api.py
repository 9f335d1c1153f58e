"""The doors for programs: events in, decisions out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.params import Query

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.api import doors
from apps.fraud.common.selectors import transaction_by_event
from apps.fraud.decide.services.reasons import reasons_of
from apps.fraud.models import TransactionStatus
from apps.fraud.watch.events import Chosen, events_of, page_of, require_period
from apps.fraud.watch.watch_lists import EVENTS, members_of
from apps.fraud.wire.answers import answer_of, rescored_of
from apps.fraud.wire.decision_schemas import DecisionOut, DecisionsOut, DecisionsQuery, PendingOut
from apps.fraud.wire.schemas import EventIn, LabelIn, LabelReceiptOut, Problem, Receipt
from apps.fraud.wire.validation import EVENTS_MAX

router = Router(tags=["fraud"])
_EVENT = EventIn.model_json_schema()
_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature", "lynceus-source")


def _headers(names: Iterable[str], *, required: bool) -> list[dict[str, Any]]:
    return [
        {"in": "header", "name": name, "required": required, "schema": {"type": "string"}} for name in names
    ]


def one_of_a_kind(schema: dict[str, Any]) -> dict[str, Any]:
    """A request body of one object."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _one_or_list(item: dict[str, Any]) -> dict[str, Any]:
    return one_of_a_kind(
        {"oneOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": EVENTS_MAX}]}
    )


_DOCUMENTED_BODY = {"parameters": _headers(_SIGNED, required=True), "requestBody": _one_or_list(_EVENT)}
_DOCUMENTED_EVENT = {
    "parameters": _headers((*_SIGNED, "lynceus-deadline-ms"), required=False),
    "requestBody": one_of_a_kind(_EVENT),
}  # fmt: skip
_DOCUMENTED_LABELS = {
    "parameters": _headers(_SIGNED, required=False), "requestBody": _one_or_list(LabelIn.model_json_schema())
}  # fmt: skip
SIGNED_OR_TOKEN = _headers(_SIGNED, required=False)
_REFUSED = {status: Problem for status in (400, 401, 409, 413, 422, 503)}


@router.post(
    "/transactions",
    response={202: Receipt, **_REFUSED, 429: Problem},
    openapi_extra=_DOCUMENTED_BODY,
    summary="Send one event or a list of up to 500, signed after Standard Webhooks",
    description=doors.receive.__doc__,
)
def receive_transactions(request: HttpRequest) -> HttpResponse:
    return through(doors.receive, request)


@router.post(
    "/decisions",
    response={200: DecisionOut, **_REFUSED, 403: Problem},
    openapi_extra=_DOCUMENTED_EVENT,
    summary="Decide one event now, within a deadline",
    description=doors.decide.__doc__,
)
def decide_event(request: HttpRequest) -> HttpResponse:
    return through(doors.decide, request)


@router.post(
    "/labels",
    response={202: LabelReceiptOut, **dict.fromkeys((400, 401, 403, 413, 422, 503), Problem)},
    openapi_extra=_DOCUMENTED_LABELS,
    summary="Tell what became known of events: fraud or legitimate",
    description=doors.label.__doc__,
)
def receive_labels(request: HttpRequest) -> HttpResponse:
    return through(doors.label, request)


def through(door: doors.Door, request: HttpRequest) -> HttpResponse:
    if door is not doors.receive and not doors.says_who(request.headers):
        caller_of(request, scope="fraud", roles=())  # a person, or nobody: refused, each in its own words
    return answered(door(request.headers, _body_of(request)))


def answered(reply: doors.Reply) -> HttpResponse:
    return HttpResponse(reply.body, status=reply.status, content_type=doors.JSON)


def _body_of(request: HttpRequest) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > doors.BODY_MAX_BYTES:
        raise doors.too_large()
    try:
        body = request.body
    except RequestDataTooBig:
        raise doors.too_large() from None
    if len(body) > doors.BODY_MAX_BYTES:
        raise doors.too_large()
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
) -> HttpResponse:
    """202 while pending. `source` defaults to the token's own, or the site's where it has one only."""
    caller = caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))
    slug = source or doors.default_source(caller)
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
        return answered(doors.reply(202, PendingOut(event_id=row.event_id, status=row.status)))
    reasons = reasons_of(row.decision) if row.status == TransactionStatus.DECIDED else None
    return answered(doors.reply(200, DecisionOut(**answer_of(row, reasons), rescored=rescored_of(row))))


def _reader(request: HttpRequest) -> Caller:
    """Before the query is looked at: what is wrong with it is nobody else's business."""
    return caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))


@router.get(
    "/decisions",
    auth=_reader,
    response={200: DecisionsOut, 401: Problem, 403: Problem, 422: Problem},
    summary="Decisions, the latest first",
)
def list_decisions(request: HttpRequest, asked: Annotated[DecisionsQuery, Query()]) -> dict[str, Any]:
    """Of the last 24 hours without `since` and `until`, and of 92 days at most."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    until = asked.until or now()
    since = asked.since or until - timedelta(days=1)
    require_period(since, until)
    chosen = Chosen(since, until, asked.outcome, asked.mode, asked.known, asked.source)
    page = page_of(events_of(caller.site, chosen), asked.cursor, asked.limit)
    record(
        "decisions.listed", site=caller.site, actor=caller.user or caller.client,
        detail={"since": since.isoformat(), "until": until.isoformat(), "count": len(page.rows)},
    )  # fmt: skip
    items = [members_of(row, EVENTS) | {"rescored": rescored_of(row.transaction)} for row in page.rows]
    return {"items": items, "next": page.older or None}
