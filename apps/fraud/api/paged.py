"""How a list is told to programs: who may ask, a hundred at a time, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja.params import Query
from pydantic import BaseModel

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.fraud.api import doors
from apps.fraud.api.api import answered
from apps.fraud.wire.schemas import Problem

PAGE_ROWS = 100
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
REFUSED = {status: Problem for status in (401, 403, 422)}


def caller_for(request: HttpRequest, what: str) -> Caller:
    """An analyst or a token of theirs; that they looked is recorded."""
    caller = caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))
    record(f"{what}.viewed", site=caller.site, actor=caller.user or caller.client)
    return caller


def page(
    found: QuerySet[Any], before: int | None, out: Callable[[Any], BaseModel], answer: type[BaseModel]
) -> HttpResponse:
    """`next`, where there are more, is the next `before`."""
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found.order_by("-pk")[: PAGE_ROWS + 1])
    shown = rows[:PAGE_ROWS]
    more = shown[-1].pk if len(rows) > PAGE_ROWS else None
    return answered(doors.reply(200, answer(items=[out(row) for row in shown], next=more)))


def name_of(user: User) -> str:
    return user.full_name or user.email
