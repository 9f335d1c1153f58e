"""The queue: what is most at stake first, today's capacity as a line in it, and what more would bring."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.saved_views import views_of
from apps.fraud.common.selectors import (
    RECENT_DECISIONS,
    QueueFilter,
    parked_for,
    recent_decisions_for,
    waiting_for,
)
from apps.fraud.models import Decision, Desk, QueueView
from apps.fraud.work.budget import budget_of, shown
from apps.fraud.work.forms import QueueForm
from apps.fraud.work.queue import COUNT_MAX, PAGE_ROWS, Entry, Line, line_of, standings_of, work_page
from apps.fraud.work.work_forms import MoveForm, WorkForm

ROWS_MAX = 50
RECENT = "recent"


@dataclass(frozen=True, slots=True)
class Row:
    """One item of the list. `holder`: who works on it now; `ends_line`: today's capacity ends with it."""

    entry: Entry
    holder: User | None
    mine: bool
    overdue: bool
    sleeps: bool
    ends_line: bool


@require_GET
@role_required(Role.FRAUD_ANALYST)
def queue(request: HttpRequest) -> HttpResponse:
    user, show = user_of(request), _shown(request)
    # Once a page opened; the polls that follow show the same list to the same person.
    record("queue.viewed", site=user.site, actor=user, detail={"show": show})
    if show == RECENT:
        return render(request, "fraud/queue.html", _recent(request, user) | _standing(user, RECENT))
    form = WorkForm(request.GET)
    given = form.given()
    context = {
        **_items(request, user, form),
        **_standing(user, show),
        "form": form,
        "moves": MoveForm(None, user=user),
        "views": views_of(QueueView, user, given),
        "kept": given,
        "undo": _batch(request.GET.get("undo", "")),
    }
    return render(request, "fraud/queue.html", context)


@require_GET
@role_required(Role.FRAUD_ANALYST)
def rows(request: HttpRequest) -> HttpResponse:
    """The list's table body; 204 while it still shows what `seen` says it shows."""
    user = user_of(request)
    recent = _shown(request) == RECENT
    context = _recent(request, user) if recent else _items(request, user, WorkForm(request.GET))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    response = render(request, "fraud/rows.html" if recent else "fraud/work_rows.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_GET
@role_required(Role.FRAUD_ANALYST)
def standing(request: HttpRequest) -> HttpResponse:
    """How much waits at each desk, and how far today's capacity reaches: live above the list."""
    return render(request, "fraud/standing.html", _standing(user_of(request), _shown(request)))


def _batch(text: str) -> UUID | None:
    """What was settled together a moment ago, as the page was told it."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _shown(request: HttpRequest) -> str:
    """A desk, or the recent decisions."""
    recent = request.GET.get("show") == RECENT
    return RECENT if recent else str(WorkForm(request.GET).chosen().desk)


def _standing(user: User, show: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        "show": show,
        "standings": standings_of(user.site),
        "count_max": COUNT_MAX,
        "waiting": waiting_for(user.site),
        "parked": parked_for(user.site),
    }
    if show != RECENT:
        context["budget"] = shown(budget_of(user.site, show))
        context["line"] = line_of(user.site, show, context["budget"].per_day)
    return context


def _items(request: HttpRequest, user: User, form: WorkForm) -> dict[str, Any]:
    chosen, given, at = form.chosen(), form.given(), now()
    after = request.GET.get("after", "")[:40]
    page = work_page(user.site, chosen, user=user, after=after, rows=PAGE_ROWS)
    line = None
    if chosen.is_ranked:
        line = line_of(user.site, chosen.desk, budget_of(user.site, chosen.desk).alerts_per_day)
    listed = [_row(entry, user, line, at) for entry in page.entries]
    exhausted = line is not None and line.last is None and not line.all_fit and not after
    seen = _mark(after, page.following, exhausted, [_told(row) for row in listed])
    here = {**given, "after": after} if after else given
    return {
        "rows": listed,
        "page": page,
        "chosen": chosen,
        "filters": urlencode(given),
        "query": urlencode({**here, "seen": seen}),
        "filtered": set(given) - {"show"} != set(),
        "after": after,
        "exhausted": exhausted,
        "seen": seen,
        "show": chosen.desk,
        "friction": chosen.desk == Desk.FRICTION,
    }


def _row(entry: Entry, user: User, line: Line | None, at: datetime) -> Row:
    item = entry.item
    ends = line is not None and not line.all_fit and line.last == (item.at_stake_minor, item.pk)
    return Row(
        entry,
        holder=item.locked_by if item.is_held(at) else None,
        mine=item.is_held(at) and item.locked_by_id == user.pk,
        overdue=item.due_at < at,
        sleeps=item.snoozed_until is not None and item.snoozed_until > at,
        ends_line=ends,
    )


def _told(row: Row) -> tuple[Any, ...]:
    """What a row shows: also of what changes with time and not in the database."""
    item, move = row.entry.item, row.entry.move
    return (
        item.pk, item.at_stake_minor, item.alert_count, row.entry.lead.pk,
        row.holder and (row.holder.pk, item.locked_until), row.overdue, row.sleeps, row.ends_line,
        item.assignee_id, item.escalated_at, move and move.pk,
    )  # fmt: skip


def _recent(request: HttpRequest, user: User) -> dict[str, Any]:
    form = QueueForm(request.GET, site=user.site)
    chosen = form.chosen()
    found = recent_decisions_for(user.site, chosen, rows=ROWS_MAX)
    filters = _given(chosen)
    seen = _mark([_told_of(made) for made in found])
    return {
        "rows": found,
        "form": form,
        "query": urlencode({"show": RECENT, **filters, "seen": seen}),
        "filtered": bool(filters),
        "seen": seen,
        "show": RECENT,
        "looked_back": RECENT_DECISIONS,
    }


def _told_of(made: Decision) -> tuple[Any, ...]:
    return made.pk, made.rescored and made.rescored.score, hasattr(made, "alert")


def _given(chosen: QueueFilter) -> dict[str, str]:
    filters = {"outcome": chosen.outcome, "mode": chosen.mode, "source": chosen.source}
    return {name: value for name, value in filters.items() if value}


def _mark(*shown_parts: Any) -> str:
    """Of the very rows shown: a count or a latest key would miss what commits out of order."""
    return hashlib.sha256(repr(shown_parts).encode()).hexdigest()[:16]
