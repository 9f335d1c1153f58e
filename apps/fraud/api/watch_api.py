"""The overview for programs: the same numbers. Its events are `GET /api/v1/decisions`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Router
from ninja.params import Query
from pydantic import AwareDatetime, BaseModel

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.fraud.watch.drift import drift_at
from apps.fraud.watch.watch import Period, as_row, costs_at, tallies
from apps.fraud.watch.watch_lists import DRIFT, PERIODS, members_of
from apps.fraud.wire.decision_schemas import PAGE, PAGE_MAX
from apps.fraud.wire.schemas import Problem

router = Router(tags=["fraud"])
_REFUSED = dict.fromkeys((401, 403, 422), Problem)


class PeriodOut(BaseModel):
    """Amounts in minor units of the reporting currency; null is not known."""

    start: datetime
    end: datetime
    n: int
    per_second: float
    approve: int
    review: int
    decline: int
    full: int
    no_state: int
    rules_only: int
    deadline_hits: int
    late: int
    too_old: int
    alerts: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    disposed_frauds: int
    disposed_goods: int
    frauds: int
    fraud_minor: int
    frauds_alerted: int
    fraud_alerted_minor: int
    good_declined: int
    good_declined_minor: int
    declined_unknown: int
    saved_minor: float


class PeriodsOut(BaseModel):
    items: list[PeriodOut]
    next: datetime | None


class MovedOut(BaseModel):
    feature: str
    psi: float
    limit: float
    drifted: Literal["yes", "no"]
    missing: float
    missing_then: float


class DriftOut(BaseModel):
    """Of `n` payments of the last 24 hours, against the version's validation days. `why_not`: why `items`
    is empty."""

    version: int | None
    n: int
    why_not: str
    items: list[MovedOut]


def _caller(request: HttpRequest) -> Caller:
    return caller_of(request, scope="fraud", roles=(Role.FRAUD_ANALYST,))


@router.get(
    "/watch/periods",
    response={200: PeriodsOut, **_REFUSED},
    auth=_caller,
    summary="What was decided and what is known of it, by day or hour",
)
def list_periods(
    request: HttpRequest,
    days: Annotated[int, Query(ge=1, le=90)] = 7,
    cursor: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
) -> dict[str, Any]:
    """The oldest first; by hour where `days` is 1. `cursor` is where the page before ended."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    costs = costs_at(caller.site)
    found = [one for one in tallies(caller.site, Period(days)) if cursor is None or one.start >= cursor]
    rows = [members_of(as_row(one, costs), PERIODS) for one in found[:limit]]
    return {"items": rows, "next": found[limit].start if len(found) > limit else None}


@router.get(
    "/watch/drift",
    response={200: DriftOut, **_REFUSED},
    auth=_caller,
    summary="How far payments have moved from what the model was judged on",
)
def get_drift(request: HttpRequest) -> dict[str, Any]:
    """By feature, the score first. Beyond `limit` lies what one in a hundred reaches without drift."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    found = drift_at(caller.site)
    rows = [members_of(row, DRIFT) for row in found.rows]
    return {"version": found.version, "n": found.n, "why_not": found.why_not, "items": rows}
