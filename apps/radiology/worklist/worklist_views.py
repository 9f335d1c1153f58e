"""The worklist: what needs eyes first, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.saved_views import views_of
from apps.radiology.common.selectors import strongest_findings
from apps.radiology.models import Finding, ReadingPolicy, SavedView, Study
from apps.radiology.studies.reads import policy_of
from apps.radiology.studies.waits import Wait, clock_disagrees, span, targets_of, wait_of
from apps.radiology.worklist.forms import WorklistForm
from apps.radiology.worklist.standing import COUNT_MAX, standing_at
from apps.radiology.worklist.worklist import (
    ARCHIVE_DAYS,
    Page,
    WorklistFilter,
    worklist_page,
)
from ml.radiology.vocabulary import NOTHING_CALLED


@dataclass(frozen=True, slots=True)
class Row:
    """One study of the list. `opened`: the reader may know what the model found, and `called` names it."""

    study: Study
    wait: Wait
    clock: str
    opened: bool
    called: list[Finding]


@require_GET
@role_required(Role.RADIOLOGIST)
def worklist(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    policy = policy_of(user.site)
    form = WorklistForm(request.GET, concurrent=policy.concurrent)
    # Once a page opened; the polls that follow show the same list to the same person.
    record("worklist.viewed", site=user.site, actor=user)
    context = {
        **_listed(request, user, form.chosen(), policy),
        **_standing(user),
        "form": form,
        "targets": {name: span(target) for name, target in targets_of(policy).items()},
        "views": views_of(SavedView, user, _given(form.chosen())),
        "kept": without_search(form.chosen()),
        "archive_days": ARCHIVE_DAYS,
    }
    return render(request, "radiology/worklist.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def rows(request: HttpRequest) -> HttpResponse:
    """The worklist's table body; 204 while it still shows what `seen` says it shows."""
    user = user_of(request)
    policy = policy_of(user.site)
    chosen = WorklistForm(request.GET, concurrent=policy.concurrent).chosen()
    context = _listed(request, user, chosen, policy)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return render(request, "radiology/rows.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def standing(request: HttpRequest) -> HttpResponse:
    """How many wait, and whether the model keeps up: the live line under the page's name."""
    return render(request, "radiology/standing.html", _standing(user_of(request)))


def _standing(user: User) -> dict[str, Any]:
    return {"standing": standing_at(user.site), "site": user.site, "count_max": COUNT_MAX}


def _listed(
    request: HttpRequest, user: User, chosen: WorklistFilter, policy: ReadingPolicy
) -> dict[str, Any]:
    key = {name: request.GET.get(name, "")[:40] for name in ("after", "before")}
    page = worklist_page(user, chosen, **key)
    listed = _rows(page.studies, policy)
    filters = _given(chosen)
    seen = _mark(page, listed)
    return {
        "rows": listed,
        "page": page,
        "chosen": chosen,
        "filters": urlencode(filters),
        "query": urlencode({**filters, **_given(key), "seen": seen}),
        "filtered": bool(filters),
        "seen": seen,
        "me": user.pk,
        "nothing_called": NOTHING_CALLED,
    }


def _rows(studies: Sequence[Study], policy: ReadingPolicy) -> list[Row]:
    """In read-first mode the list names findings only of what this reader committed: else the list itself
    would spoil the blind read."""
    opened = [one.pk for one in studies if policy.concurrent or one.committed]  # type: ignore[attr-defined]
    found = strongest_findings([one.pk for one in studies if one.raised and one.pk in opened])
    at, zone = now(), timezone.get_current_timezone()
    return [
        Row(
            one,
            wait_of(one, policy, at),
            clock_disagrees(one, policy, zone),
            one.pk in opened,
            [finding for finding in found.get(one.pk, []) if finding.positive],
        )
        for one in studies
    ]


def _mark(page: Page, listed: Sequence[Row]) -> str:
    """Of the very rows shown: a count or a latest time would miss what commits out of order. A lock that ends
    and a target that passes change no row of the database, and are seen here."""
    shown = [
        (row.study.pk, row.study.changed_at.isoformat(), row.study.reader, row.wait.over)  # type: ignore[attr-defined]
        for row in listed
    ]
    return hashlib.sha256(f"{page.previous} {page.following} {shown}".encode()).hexdigest()[:16]


def without_search(chosen: WorklistFilter) -> dict[str, str]:
    """What a saved view keeps: a search is a patient's."""
    return _given(replace(chosen, q=""))


def _given(chosen: WorklistFilter | dict[str, str]) -> dict[str, str]:
    values = chosen if isinstance(chosen, dict) else asdict(chosen)
    return {name: value for name, value in values.items() if value}
