"""The alert: one screen of what happened, its charts, the events linked with it, and who works on it."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.fraud.alerts.alert_charts import CHARTS
from apps.fraud.alerts.alert_page import alert_context, lock_context, lookers_of, work_context
from apps.fraud.alerts.card_events import card_events
from apps.fraud.alerts.linked import FIELDS, NAMES, linked_page
from apps.fraud.alerts.story import usual_minor
from apps.fraud.common.selectors import decision_for
from apps.fraud.models import Decision
from apps.fraud.settle.disposition_panel import panel_of


@require_GET
@role_required(Role.FRAUD_ANALYST)
def decision(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user = user_of(request)
    with transaction.atomic():
        found = _decision(request, public_id)
        lookers = lookers_of(user.site, found.transaction)
        record(
            "transaction.viewed", site=user.site, actor=user, subject=f"transaction:{found.transaction_id}"
        )
    context = {
        **alert_context(user.site, found),
        **panel_of(found, user),
        **work_context(user.site, found, user),
        "lookers": lookers,
        "active": "alerts",
    }
    return render(request, "fraud/decision.html", context)


@require_GET
@role_required(Role.FRAUD_ANALYST)
def alert_chart(request: HttpRequest, public_id: UUID, chart: str) -> HttpResponse:
    """The numbers of one of the page's charts."""
    found = _decision(request, public_id)
    if chart not in CHARTS:
        raise Http404
    events = card_events(user_of(request).site, found.transaction)
    return _not_kept(JsonResponse(CHARTS[chart](events, usual_minor(found, events))))


@require_GET
@role_required(Role.FRAUD_ANALYST)
def linked(request: HttpRequest, public_id: UUID, kind: str) -> HttpResponse:
    """The events that share one thing with this payment, newest first; each page of it is audited."""
    user = user_of(request)
    if kind not in FIELDS:
        raise Http404
    with transaction.atomic():
        found = _decision(request, public_id)
        if not getattr(found.transaction, FIELDS[kind]):
            raise Http404
        record(
            "linked.viewed", site=user.site, actor=user, subject=f"transaction:{found.transaction_id}",
            detail={"by": kind},
        )  # fmt: skip
    frauds = request.GET.get("known") == "fraud"
    page = linked_page(user.site, found.transaction, kind, frauds=frauds, after=request.GET.get("after", ""))
    context = {
        "decision": found,
        "event": found.transaction,
        "kind": kind,
        "name": NAMES[kind],
        "value": getattr(found.transaction, FIELDS[kind]),
        "page": page,
        "older": page.older,
        "frauds": frauds,
        "active": "alerts",
    }
    return render(request, "fraud/linked_list.html", context)


@require_GET
@role_required(Role.FRAUD_ANALYST)
def lock(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Who works on the card now; 204 while that is what `seen` says. The page asks while it is open."""
    user, found = user_of(request), _decision(request, public_id)
    context = {"decision": found, "polled": True, **lock_context(found, user)}
    if request.GET.get("seen") == context["lock_mark"]:
        return HttpResponse(status=204)
    return _not_kept(render(request, "fraud/lock.html", context))


def _decision(request: HttpRequest, public_id: UUID) -> Decision:
    found = decision_for(site=user_of(request).site, public_id=public_id)
    if found is None:
        raise Http404
    return found


def _not_kept(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
