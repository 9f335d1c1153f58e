"""What analysts said and did, for programs: the same lists as the pages, and contests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.params import Query
from pydantic import BaseModel

from apps.core.errors import LynceusError
from apps.fraud.api import doors
from apps.fraud.api.api import SIGNED_OR_TOKEN, answered, one_of_a_kind, through
from apps.fraud.api.paged import REFUSED, Before, caller_for, name_of, page
from apps.fraud.models import ContactAttempt, Disposition
from apps.fraud.settle.case_views import cases_of
from apps.fraud.settle.contest_views import contests_of
from apps.fraud.wire.answers import contest_out
from apps.fraud.wire.schemas import ContestIn, ContestOut, Problem

router = Router(tags=["fraud"])


class DispositionOut(BaseModel):
    id: UUID
    event_ids: list[str]
    verdict: str
    type: str | None
    reason: str
    note: str
    by: str
    at: datetime
    withdrawn_at: datetime | None


class ContactOut(BaseModel):
    event_id: str
    channel: str
    outcome: str
    note: str
    by: str
    made_at: datetime
    at: datetime


class CaseOut(BaseModel):
    id: UUID
    number: int
    title: str
    state: str
    alerts: int
    conclusion: str
    opened_by: str
    opened_at: datetime
    closed_by: str | None
    closed_at: datetime | None


class DispositionsOut(BaseModel):
    items: list[DispositionOut]
    next: int | None


class ContactsOut(BaseModel):
    items: list[ContactOut]
    next: int | None


class CasesOut(BaseModel):
    items: list[CaseOut]
    next: int | None


class ContestsOut(BaseModel):
    items: list[ContestOut]
    next: int | None


@router.get(
    "/dispositions", response={200: DispositionsOut, **REFUSED}, summary="What analysts said, newest first"
)
def get_dispositions(request: HttpRequest, before: Before = None) -> HttpResponse:
    """A hundred at a time: `next`, where there are more, is the next `before`."""
    caller = caller_for(request, "dispositions")
    found = Disposition.objects.filter(site=caller.site).select_related("by", "withdrawal")
    found = found.prefetch_related("alerts__decision__transaction")
    return page(found, before, _disposition_out, DispositionsOut)


@router.get(
    "/contacts",
    response={200: ContactsOut, **REFUSED},
    summary="Attempts to reach cardholders, newest first",
)
def get_contacts(request: HttpRequest, before: Before = None) -> HttpResponse:
    caller = caller_for(request, "contacts")
    found = ContactAttempt.objects.filter(site=caller.site).select_related("by", "decision__transaction")
    return page(found, before, _contact_out, ContactsOut)


@router.get("/cases", response={200: CasesOut, **REFUSED}, summary="Cases, newest first")
def get_cases(request: HttpRequest, before: Before = None) -> HttpResponse:
    caller = caller_for(request, "cases")
    return page(cases_of(caller.site), before, _case_out, CasesOut)


@router.post(
    "/contests",
    response={200: ContestOut, **dict.fromkeys((400, 401, 403, 404, 409, 413, 422, 503), Problem)},
    openapi_extra={
        "parameters": SIGNED_OR_TOKEN,
        "requestBody": one_of_a_kind(ContestIn.model_json_schema()),
    },
    summary="A declined customer does not agree: have a person look again",
    description=doors.contest.__doc__,
)
def receive_contest(request: HttpRequest) -> HttpResponse:
    return through(doors.contest, request)


@router.get("/contests", response={200: ContestsOut, **REFUSED}, summary="Contests, newest first")
def get_contests(request: HttpRequest, before: Before = None) -> HttpResponse:
    caller = caller_for(request, "contests")
    return page(contests_of(caller.site), before, contest_out, ContestsOut)


@router.get(
    "/contests/{contest_id}", response={200: ContestOut, 404: Problem, **REFUSED}, summary="One contest"
)
def get_contest(
    request: HttpRequest, contest_id: str, source: Annotated[str, Query(max_length=60)] = ""
) -> HttpResponse:
    """`source` defaults to the token's own, or the site's where it has one only."""
    caller = caller_for(request, "contest")
    slug = source or doors.default_source(caller)
    found = None
    if (slug + contest_id).isprintable():
        found = contests_of(caller.site).filter(source__slug=slug, contest_id=contest_id).first()
    if found is None:
        raise LynceusError("not_found", "No such contest from this source.", status=404)
    return answered(doors.reply(200, contest_out(found)))


def _disposition_out(made: Disposition) -> DispositionOut:
    return DispositionOut(
        id=made.public_id, event_ids=_events(made), verdict=made.verdict, type=made.type or None,
        reason=made.reason, note=made.note, by=name_of(made.by), at=made.at,
        withdrawn_at=None if made.stands else made.withdrawal.at,
    )  # fmt: skip


def _events(made: Disposition) -> list[str]:
    alerts: Iterable[Any] = made.alerts.all()
    return sorted(alert.decision.transaction.event_id for alert in alerts)


def _contact_out(made: ContactAttempt) -> ContactOut:
    return ContactOut(
        event_id=made.decision.transaction.event_id, channel=made.channel, outcome=made.outcome,
        note=made.note, by=name_of(made.by), made_at=made.made_at, at=made.at,
    )  # fmt: skip


def _case_out(case: Any) -> CaseOut:
    return CaseOut(
        id=case.public_id, number=case.number, title=case.title, state=case.state, alerts=case.n_alerts,
        conclusion=case.conclusion, opened_by=name_of(case.opened_by), opened_at=case.opened_at,
        closed_by=name_of(case.closed_by) if case.closed_by else None, closed_at=case.closed_at,
    )  # fmt: skip
