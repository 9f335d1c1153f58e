"""The queue for programs: the same items in the same order, a page at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from django.http import HttpRequest
from ninja import Router
from ninja.params import Query

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.core.clock import now
from apps.fraud.api.queue_schemas import WorkOut, WorkPageOut, WorkQuery
from apps.fraud.common.money import REPORTING_CURRENCY
from apps.fraud.templatetags.payments import card_end
from apps.fraud.wire.schemas import Problem
from apps.fraud.work.queue import Entry, WorkFilter, work_page

router = Router(tags=["fraud"])


def _who_asks(request: HttpRequest) -> Caller:
    """Before the query is looked at: what is wrong with it is nobody else's business."""
    return caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))


@router.get(
    "/work",
    auth=_who_asks,
    response={200: WorkPageOut, 401: Problem, 403: Problem, 422: Problem},
    summary="The analysts' queue, the most at stake first",
)
def list_work(request: HttpRequest, asked: Annotated[WorkQuery, Query()]) -> WorkPageOut:
    """`overdue` and `snoozed` are ordered by their time. A card's number is never told whole."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    record("queue.viewed", site=caller.site, actor=caller.user or caller.client, detail={"show": asked.desk})
    chosen = WorkFilter(asked.desk, asked.state, asked.at_least_minor)
    page, at = work_page(caller.site, chosen, after=asked.after, rows=asked.limit), now()
    return WorkPageOut(items=[_item(entry, at) for entry in page.entries], next=page.following)


def _item(entry: Entry, at: datetime) -> WorkOut:
    item, made = entry.item, entry.lead.decision
    held = item.is_held(at)
    return WorkOut(
        id=item.pk,
        desk=cast(Literal["loss", "friction"], item.desk),
        card_end=card_end(item.card_token),
        alert_count=item.alert_count,
        amount_minor=item.amount_reporting_minor,
        at_stake_minor=item.at_stake_minor,
        currency=REPORTING_CURRENCY,
        opened_at=item.opened_at,
        due_at=item.due_at,
        overdue=item.due_at < at,
        locked_by=_name(item.locked_by) if held else None,
        locked_until=item.locked_until if held else None,
        assignee=_name(item.assignee),
        escalated_at=item.escalated_at,
        snoozed_until=item.snoozed_until,
        event_id=made.transaction.event_id,
        source=made.transaction.source.slug,
        main_reason=made.main_reason,
    )


def _name(user: User | None) -> str | None:
    return (user.full_name or user.email) if user else None
