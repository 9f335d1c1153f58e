"""The worklist: what needs eyes first, and why."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.radiology.forms import WorklistForm
from apps.radiology.models import OPEN, Study
from apps.radiology.reads import reads_concurrently
from apps.radiology.selectors import WorklistFilter, counts_by_status, worklist_for
from ml.radiology.vocabulary import NOTHING_CALLED

PAGE_ROWS = 50


@require_GET
@role_required(Role.RADIOLOGIST)
def worklist(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    site = user.site
    concurrent = reads_concurrently(site)
    form = WorklistForm(request.GET, concurrent=concurrent)
    # Once a page opened; the polls that follow show the same list to the same person.
    record("worklist.viewed", site=site, actor=user)
    counts = counts_by_status(site)
    context = {
        **_rows(_page(request, user, form.chosen()), form.chosen(), concurrent),
        "form": form,
        "site": site,
        "total": sum(counts.values()),
        "under_way": sum(counts.get(status, 0) for status in OPEN),
    }
    return render(request, "radiology/worklist.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def rows(request: HttpRequest) -> HttpResponse:
    """The worklist's table body; 204 while it still shows what `seen` says it shows."""
    user = user_of(request)
    concurrent = reads_concurrently(user.site)
    chosen = WorklistForm(request.GET, concurrent=concurrent).chosen()
    page = _page(request, user, chosen)
    if request.GET.get("seen") == _mark(page):
        return HttpResponse(status=204)
    return render(request, "radiology/rows.html", _rows(page, chosen, concurrent))


def _page(request: HttpRequest, user: User, chosen: WorklistFilter) -> Page[Study]:
    return Paginator(worklist_for(user, chosen), PAGE_ROWS).get_page(request.GET.get("page"))


def _rows(page: Page[Study], chosen: WorklistFilter, concurrent: bool) -> dict[str, Any]:
    filters = {name: value for name, value in asdict(chosen).items() if value}
    return {
        "page": page,
        "filters": urlencode(filters),
        "query": urlencode({**filters, "page": page.number, "seen": _mark(page)}),
        "filtered": bool(filters),
        "nothing_called": NOTHING_CALLED,
        # Else the list itself would spoil the blind read.
        "names_findings": concurrent,
    }


def _mark(page: Page[Study]) -> str:
    """Of the very rows shown: a count or a latest time would miss what commits out of order."""
    shown = [(study.pk, study.changed_at.isoformat()) for study in page]
    return hashlib.sha256(f"{page.paginator.num_pages} {shown}".encode()).hexdigest()[:16]
