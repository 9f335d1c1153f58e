"""For programs: the list behind what an alert is linked with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from django.db import transaction
from django.http import HttpRequest
from ninja import Router
from ninja.params import Query
from pydantic import BaseModel

from apps.accounts.auth import caller_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.fraud.alerts.linked import FIELDS, LinkedPage, linked_page
from apps.fraud.api import doors
from apps.fraud.common.selectors import transaction_by_event
from apps.fraud.wire.schemas import Problem

router = Router(tags=["fraud"])


class LinkedPaymentOut(BaseModel):
    """`fraud`: the last word on it, null where nobody spoke."""

    event_id: str
    source: str
    occurred_at: datetime
    amount_minor: int
    currency: str
    merchant_id: str
    terminal_id: str
    country: str
    fraud: bool | None
    decision: str


class LinkedOut(BaseModel):
    payments: list[LinkedPaymentOut]
    older: str | None


@router.get(
    "/decisions/{event_id}/linked/{kind}",
    response={200: LinkedOut, **dict.fromkeys((401, 403, 404, 422), Problem)},
    summary="Payments of the same card, device, IP address, merchant or terminal",
)
def get_linked(
    request: HttpRequest,
    event_id: str,
    kind: str,
    source: Annotated[str, Query(max_length=60)] = "",
    known: Annotated[str, Query(max_length=10)] = "",
    after: Annotated[str, Query(max_length=80)] = "",
) -> LinkedOut:
    """Newest first, 50 at most; `after` is the `older` of the page before."""
    caller = caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))
    slug = source or doors.default_source(caller)
    with transaction.atomic():
        row = transaction_by_event(site=caller.site, source_slug=slug, event_id=event_id)
        if row is None or kind not in FIELDS or not getattr(row, FIELDS[kind]):
            raise LynceusError("not_found", "No such event here, or nothing to link it by.", status=404)
        record(
            "linked.viewed", site=caller.site, actor=caller.user or caller.client,
            subject=f"transaction:{row.pk}", detail={"by": kind},
        )  # fmt: skip
    page = linked_page(caller.site, row, kind, frauds=known == "fraud", after=after)
    return LinkedOut(payments=_payments(page), older=page.older or None)


def _payments(page: LinkedPage) -> list[LinkedPaymentOut]:
    return [
        LinkedPaymentOut(
            event_id=row.event_id, source=row.source.slug, occurred_at=row.occurred_at,
            amount_minor=row.amount_minor, currency=row.currency, merchant_id=row.merchant_id,
            terminal_id=row.terminal_id, country=row.country, fraud=row.fraud,  # type: ignore[attr-defined]
            decision=row.decision.outcome,
        )
        for row in page.rows
    ]  # fmt: skip
