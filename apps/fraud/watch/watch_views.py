"""The overview: what is decided and how well; the events behind a point; and all of it to take away."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.fraud.watch.drift import drift_at
from apps.fraud.watch.events import events_of, in_chunks, page_of
from apps.fraud.watch.exports import export
from apps.fraud.watch.watch import as_row, costs_at, counted_to, last_dispositions, tallies, whole, worth
from apps.fraud.watch.watch_figures import CHARTS, chart_of, lines_of, rows_of
from apps.fraud.watch.watch_forms import EventsForm, PeriodForm, shown
from apps.fraud.watch.watch_lists import DRIFT, EVENTS, PERIODS
from apps.fraud.watch.watch_now import moment_at
from apps.fraud.work.queue import standings_of

PAGE_ROWS = 50
DRIFT_SHOWN = 12


@require_GET
@role_required(Role.FRAUD_ANALYST)
def watch(request: HttpRequest) -> HttpResponse:
    user, form = user_of(request), PeriodForm(request.GET)
    period = form.period()
    found = tallies(user.site, period)
    total = whole(found)
    drift = drift_at(user.site)
    context = {
        "form": form,
        "by_hour": period.days == 1,
        "total": total,
        "lines": lines_of(total, last_dispositions(user.site), worth(found, costs_at(user.site))),
        "rows": rows_of(user.site, found),
        "drift": drift,
        "moved": drift.rows[:DRIFT_SHOWN],
        "not_moved": drift.rows[DRIFT_SHOWN:],
        "counted_to": counted_to(),
        "query": request.GET.urlencode(),
        **_now(user),
    }
    return render(request, "fraud/watch.html", context)


@require_GET
@role_required(Role.FRAUD_ANALYST)
def watch_now(request: HttpRequest) -> HttpResponse:
    """The strip of this moment, which the page asks for again and again."""
    return _live(render(request, "fraud/watch_now.html", _now(user_of(request))))


@require_GET
@role_required(Role.FRAUD_ANALYST)
def watch_chart(request: HttpRequest, name: str) -> HttpResponse:
    if name not in CHARTS:
        raise Http404
    return _live(JsonResponse(chart_of(name, user_of(request).site, PeriodForm(request.GET).period())))


@require_GET
@role_required(Role.FRAUD_ANALYST)
def watch_events(request: HttpRequest) -> HttpResponse:
    """The events behind a point, or any others: narrowed down, the latest first, page by page."""
    user = user_of(request)
    chosen = EventsForm(request.GET, site=user.site).chosen()
    narrowed = shown(chosen)
    page = page_of(events_of(user.site, chosen), request.GET.get("after", ""), PAGE_ROWS)
    record("events.viewed", site=user.site, actor=user, detail=narrowed)
    context = {
        "form": EventsForm(narrowed, site=user.site),
        "page": page,
        "query": urlencode(narrowed),
        "first": "after" not in request.GET,
        "active": "watch",
    }
    return render(request, "fraud/watch_events.html", context)


@require_GET
@role_required(Role.FRAUD_ANALYST)
def watch_export(request: HttpRequest, listed: str, form: str) -> HttpResponse:
    """`listed` is events, periods or drift; `form` csv or parquet. Narrowed down as its page is."""
    user = user_of(request)
    if listed == "events":
        chosen = EventsForm(request.GET, site=user.site).chosen()
        return export(
            "events",
            form,
            EVENTS,
            events_of(user.site, chosen),
            user=user,
            detail=shown(chosen),
            each=in_chunks,
        )
    if listed == "periods":
        period, costs = PeriodForm(request.GET).period(), costs_at(user.site)
        rows = [as_row(one, costs) for one in tallies(user.site, period)]
        return export("periods", form, PERIODS, rows, user=user, detail={"days": period.days})
    if listed == "drift":
        return export("drift", form, DRIFT, drift_at(user.site).rows, user=user, detail={})
    raise Http404


def _now(user: User) -> dict[str, Any]:
    standings = standings_of(user.site)
    return {
        "now": moment_at(user.site),
        "to_review": sum(desk.waiting for desk in standings),
        "overdue": sum(desk.overdue for desk in standings),
    }


def _live(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
