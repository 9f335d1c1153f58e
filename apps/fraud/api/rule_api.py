"""What a site decides by, for programs: rules, lists, backtests, thresholds and what is let through."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.params import Query
from pydantic import BaseModel

from apps.accounts.models import Site
from apps.fraud.api.paged import REFUSED, Before, caller_for, name_of, page
from apps.fraud.models import Backtest, ListEntry, OperatingPoint, PassThroughPolicy, RuleSet
from apps.fraud.rules.passing import policies_of, policy_on
from apps.fraud.rules.rulebook import approvers_of, backtests_of, entries_of, version_in_service

router = Router(tags=["fraud"])


class RuleVersionOut(BaseModel):
    number: int
    rules: list[dict[str, Any]]
    note: str
    author: str
    created_at: datetime
    approved_by: str | None
    in_service: bool


class ListEntryOut(BaseModel):
    list: str
    kind: str
    value: str
    reason: str
    author: str
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


class BacktestOut(BaseModel):
    id: UUID
    version: int | None
    days: int
    state: str
    share: float
    by: str
    asked_at: datetime
    fault: str


class OperatingPointOut(BaseModel):
    model_version: int
    review: float
    decline: float
    method: str
    note: str
    by: str
    at: datetime
    until: datetime | None


class PassThroughOut(BaseModel):
    number: int
    probability: float
    daily_cap_minor: int
    note: str
    proposed_by: str
    proposed_at: datetime
    on: bool


class RuleVersionsOut(BaseModel):
    items: list[RuleVersionOut]
    next: int | None


class ListEntriesOut(BaseModel):
    items: list[ListEntryOut]
    next: int | None


class BacktestsOut(BaseModel):
    items: list[BacktestOut]
    next: int | None


class OperatingPointsOut(BaseModel):
    items: list[OperatingPointOut]
    next: int | None


class PassThroughsOut(BaseModel):
    items: list[PassThroughOut]
    next: int | None


@router.get("/rules", response={200: RuleVersionsOut, **REFUSED}, summary="Versions of rules, newest first")
def get_rules(request: HttpRequest, before: Before = None) -> HttpResponse:
    """As somebody wrote them; version 1 is built in and has no author, so that it is not among them."""
    site = caller_for(request, "rules").site
    return page(_rule_sets(site), before, _rule_version_out(site), RuleVersionsOut)


@router.get(
    "/lists", response={200: ListEntriesOut, **REFUSED}, summary="Block and allow lists, newest first"
)
def get_lists(
    request: HttpRequest, before: Before = None, show: Annotated[Literal["", "ended"], Query()] = ""
) -> HttpResponse:
    """What holds now; with `show=ended` what has ended or expired."""
    site = caller_for(request, "lists").site
    return page(entries_of(site, ended=show == "ended"), before, _entry_out, ListEntriesOut)


@router.get("/backtests", response={200: BacktestsOut, **REFUSED}, summary="Backtests of rules, newest first")
def get_backtests(request: HttpRequest, before: Before = None) -> HttpResponse:
    site = caller_for(request, "backtests").site
    return page(backtests_of(site), before, _backtest_out, BacktestsOut)


@router.get(
    "/operating-points", response={200: OperatingPointsOut, **REFUSED}, summary="Thresholds, newest first"
)
def get_operating_points(request: HttpRequest, before: Before = None) -> HttpResponse:
    """Of every version: the newest of a version that is not over holds."""
    site = caller_for(request, "operating_points").site
    found = OperatingPoint.objects.filter(site=site).select_related("by", "version")
    return page(found, before, _operating_point_out, OperatingPointsOut)


@router.get(
    "/pass-through", response={200: PassThroughsOut, **REFUSED}, summary="Pass-through policies, newest first"
)
def get_pass_through(request: HttpRequest, before: Before = None) -> HttpResponse:
    site = caller_for(request, "pass_through").site
    holding = policy_on(site)

    def out(policy: PassThroughPolicy) -> PassThroughOut:
        return PassThroughOut(
            number=policy.number, probability=policy.probability, daily_cap_minor=policy.daily_cap_minor,
            note=policy.note, proposed_by=name_of(policy.proposed_by), proposed_at=policy.proposed_at,
            on=policy == holding,
        )  # fmt: skip

    return page(policies_of(site), before, out, PassThroughsOut)


def _rule_sets(site: Site) -> Any:
    return RuleSet.objects.select_related("author").filter(site=site)


def _rule_version_out(site: Site) -> Any:
    approvers, serving = approvers_of(site), version_in_service(site)

    def out(version: RuleSet) -> RuleVersionOut:
        approver = approvers.get(version.pk)
        return RuleVersionOut(
            number=version.number, rules=version.rules, note=version.note, author=name_of(version.author),
            created_at=version.created_at, approved_by=name_of(approver) if approver else None,
            in_service=version.pk == serving.pk,
        )  # fmt: skip

    return out


def _entry_out(entry: ListEntry) -> ListEntryOut:
    return ListEntryOut(
        list=entry.list, kind=entry.kind, value=entry.value, reason=entry.reason,
        author=name_of(entry.author), created_at=entry.created_at, expires_at=entry.expires_at,
        ended_at=entry.ended_at, ended_by=name_of(entry.ended_by) if entry.ended_by else None,
    )  # fmt: skip


def _backtest_out(asked: Backtest) -> BacktestOut:
    return BacktestOut(
        id=asked.public_id, version=asked.version, days=asked.days, state=asked.state, share=asked.share,
        by=name_of(asked.by), asked_at=asked.asked_at, fault=asked.fault,
    )  # fmt: skip


def _operating_point_out(point: OperatingPoint) -> OperatingPointOut:
    return OperatingPointOut(
        model_version=point.version.number, review=point.review, decline=point.decline, method=point.method,
        note=point.note, by=name_of(point.by), at=point.at, until=point.until,
    )  # fmt: skip
