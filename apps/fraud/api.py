"""The doors for programs: events in, decisions out."""

from __future__ import annotations

from typing import Annotated, Any

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest
from ninja import Router
from ninja.params import Query

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.fraud.models import Transaction, TransactionStatus
from apps.fraud.schemas import DecisionOut, EventIn, PendingOut, Problem, Receipt
from apps.fraud.selectors import active_source, sources_of, transaction_by_event
from apps.fraud.services.ingest import ingest_transactions
from apps.fraud.services.sources import allowed_of, valid_secrets
from apps.fraud.signatures import verify
from apps.fraud.validation import EVENTS_MAX, check_events, parse_body

router = Router(tags=["fraud"])
BODY_MAX_BYTES = 2 * 1024 * 1024
_EVENT = EventIn.json_schema()
_DOCUMENTED_BODY = {
    "parameters": [
        {"in": "header", "name": name, "required": True, "schema": {"type": "string"}}
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "lynceus-source")
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        _EVENT,
                        {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": EVENTS_MAX},
                    ]
                }
            }
        },
    },
}


@router.post(
    "/transactions",
    response={202: Receipt, 400: Problem, 401: Problem, 409: Problem, 413: Problem, 422: Problem},
    openapi_extra=_DOCUMENTED_BODY,
    summary="Send one event or a list of up to 500, signed after Standard Webhooks",
)
def receive_transactions(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Durable before the 202. All events are stored or none; sending again does no harm."""
    body = _body_of(request)
    source = active_source(request.headers.get("lynceus-source", ""))
    if source is None:
        raise LynceusError("unknown_source", "The header lynceus-source names no active source.", status=401)
    verify(request.headers, body, valid_secrets(source))
    receipt = ingest_transactions(source=source, events=check_events(parse_body(body), allowed_of(source)))
    return 202, {"accepted": receipt.accepted, "duplicates": receipt.duplicates}


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
    return 200, _answer(row)


def _default_source(caller: Caller) -> str:
    if caller.client is not None and caller.client.source_slug:
        return caller.client.source_slug
    slugs = list(sources_of(caller.site).values_list("slug", flat=True)[:2])
    if len(slugs) == 1:
        return slugs[0]
    raise LynceusError("source_required", "Say which source: ?source=...", status=422)


def _answer(row: Transaction) -> dict[str, Any]:
    if row.status == TransactionStatus.NOT_APPLICABLE:
        return {"event_id": row.event_id, "status": row.status, "decision": None}
    made = row.decision
    thresholds = None
    if made.review_threshold is not None and made.decline_threshold is not None:
        thresholds = {"review": made.review_threshold, "decline": made.decline_threshold}
    return {
        "event_id": row.event_id,
        "status": row.status,
        "decision": made.outcome,
        "score": made.score,
        "mode": made.mode,
        "mode_reason": made.mode_reason or None,
        "reasons": made.reasons,
        "thresholds": thresholds,
        "model_version": made.model_version,
        "artefact_hash": made.artefact_hash or None,
        "decided_at": made.decided_at,
        "latency_ms": made.latency_ms,
    }
