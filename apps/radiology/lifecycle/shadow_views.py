"""The page of a film version in shadow: start it, stop it, and see where it differs from what serves."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.modelops.models import RunEnd
from apps.modelops.promotion.shadow_pages import standing_of, told_of_begin, told_of_end, version_of
from apps.radiology.lifecycle.services.shadow import end_shadow, start_shadow
from apps.radiology.lifecycle.shadow import latest_run, waiting_age
from apps.radiology.lifecycle.shadow_cases import SHOWN_MAX, films_called_otherwise, moved_studies
from apps.radiology.lifecycle.shadow_figures import (
    CHARTS,
    FILMS_MAX,
    chart_of,
    in_sight,
    most_differing,
    raised_of,
    rows_by_finding,
    studies_of,
    unscored_of,
)
from apps.radiology.lifecycle.shadow_reads import against_reads
from apps.radiology.models import ShadowRun
from apps.radiology.quality.quality import ENOUGH

DOMAIN = "radiology"


@require_GET
@role_required(Role.ML_ADMIN)
def shadow(request: HttpRequest, version_id: int) -> HttpResponse:
    version = version_of(request, version_id, DOMAIN)
    run = latest_run(version)
    context = standing_of(version, run, waiting_age)
    if run is not None:
        context |= _figures(run, user_of(request).site, request.GET.get("finding", ""))
    return render(request, "radiology/shadow.html", context)


def _figures(run: ShadowRun, site: Site, asked: str) -> dict[str, Any]:
    films = in_sight(run, site)
    rows, studies, differing = rows_by_finding(films), studies_of(films), films_called_otherwise(films)
    return {
        "n": films.count(),
        "films_max": FILMS_MAX,
        "rows": rows,
        "finding": asked if asked in {row.label for row in rows} else most_differing(rows),
        "unscored": unscored_of(films),
        "raised": raised_of(studies),
        "moved": moved_studies(site, studies, films),
        "differing": differing[:SHOWN_MAX],
        "differing_n": differing.count(),
        "shown_max": SHOWN_MAX,
        "against": against_reads(films),
        "enough": ENOUGH,
    }


@require_POST
@role_required(Role.ML_ADMIN)
def start(request: HttpRequest, version_id: int) -> HttpResponse:
    user, version = user_of(request), version_of(request, version_id, DOMAIN)
    start_shadow(version, by=user, site=user.site)
    said = f"Version {version.number} follows what is analysed from now on. No reader sees what it says."
    return told_of_begin(request, version, said)


@require_POST
@role_required(Role.ML_ADMIN)
def stop(request: HttpRequest, version_id: int) -> HttpResponse:
    user, version = user_of(request), version_of(request, version_id, DOMAIN)
    run = latest_run(version)
    ended = run is not None and end_shadow(run, RunEnd.STOPPED, by=user, site=user.site)
    return told_of_end(request, version, ended=ended)


@require_GET
@role_required(Role.ML_ADMIN)
def shadow_chart(request: HttpRequest, version_id: int, name: str) -> HttpResponse:
    """One chart's numbers: of the version's latest run, and this site's films alone."""
    run = latest_run(version_of(request, version_id, DOMAIN))
    if name not in CHARTS:
        raise Http404
    films = in_sight(run, user_of(request).site) if run else None
    response = JsonResponse(chart_of(name, films, request.GET.get("finding", "")))
    response["Cache-Control"] = "no-store"
    return response
