"""The page of a version in shadow: start it, stop it, and see how far it agrees with what decides."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.fraud.lifecycle.services.shadow import end_shadow, start_shadow
from apps.fraud.lifecycle.shadow import agreement_of, correlation, latest_run, pairs_of, waiting_age
from apps.fraud.lifecycle.shadow_figures import CHARTS, chart_of, days_of, table_of
from apps.fraud.models import ShadowRun
from apps.modelops.models import RunEnd
from apps.modelops.promotion.shadow_pages import standing_of, told_of_begin, told_of_end, version_of

DOMAIN = "fraud"


@require_GET
@role_required(Role.ML_ADMIN)
def shadow(request: HttpRequest, version_id: int) -> HttpResponse:
    site, version = user_of(request).site, version_of(request, version_id, DOMAIN)
    run = latest_run(version)
    context = standing_of(version, run, waiting_age)
    if run is not None:
        context |= _figures(run, site)
    return render(request, "fraud/shadow.html", context)


def _figures(run: ShadowRun, site: Site) -> dict[str, Any]:
    pairs, found = pairs_of(run, site), agreement_of(run, site)
    return {
        "found": found,
        "same_share": f"{found.same / found.n:.1%}" if found.n else "not known",
        "rows": table_of(found),
        "days": days_of(run, site),
        "correlation": correlation(pairs),
        "pairs": len(pairs),
    }


@require_POST
@role_required(Role.ML_ADMIN)
def start(request: HttpRequest, version_id: int) -> HttpResponse:
    user, version = user_of(request), version_of(request, version_id, DOMAIN)
    start_shadow(version, by=user, site=user.site)
    said = f"Version {version.number} follows what is decided from now on. It decides nothing."
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
    """One chart's numbers: of the version's latest run, and this site's decisions alone."""
    version = version_of(request, version_id, DOMAIN)
    if name not in CHARTS:
        raise Http404
    response = JsonResponse(chart_of(name, latest_run(version), user_of(request).site))
    response["Cache-Control"] = "no-store"
    return response
