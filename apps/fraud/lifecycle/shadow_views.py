"""The page of a version in shadow: start it, stop it, and see how far it agrees with what decides."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.fraud.lifecycle.services.shadow import end_shadow, start_shadow
from apps.fraud.lifecycle.shadow import agreement_of, correlation, latest_run, pairs_of, waiting_age
from apps.fraud.lifecycle.shadow_figures import CHARTS, chart_of, days_of, table_of
from apps.fraud.models import ShadowRun
from apps.modelops.common.selectors import version_for
from apps.modelops.models import ModelVersion, RunEnd


@require_GET
@role_required(Role.ML_ADMIN)
def shadow(request: HttpRequest, version_id: int) -> HttpResponse:
    site, version = user_of(request).site, _version(request, version_id)
    run = latest_run(version)
    running = run is not None and run.ended_at is None
    context: dict[str, Any] = {
        "version": version,
        "champion": version.model.champion,
        "is_champion": version.model.champion_id == version.pk,
        "other": version.model.shadow if not running else None,
        "run": run,
        "running": running,
        "active": "models",
    }
    if run is not None:
        context |= _figures(run, site)
    return render(request, "fraud/shadow.html", context)


def _figures(run: ShadowRun, site: Site) -> dict[str, Any]:
    pairs, found = pairs_of(run, site), agreement_of(run, site)
    waiting, age_s = waiting_age() if run.ended_at is None else (0, None)
    return {
        "found": found,
        "same_share": f"{found.same / found.n:.1%}" if found.n else "not known",
        "rows": table_of(found),
        "days": days_of(run, site),
        "correlation": correlation(pairs),
        "pairs": len(pairs),
        "waiting": waiting,
        "age_s": age_s,
    }


@require_POST
@role_required(Role.ML_ADMIN)
def start(request: HttpRequest, version_id: int) -> HttpResponse:
    user, version = user_of(request), _version(request, version_id)
    start_shadow(version, by=user, site=user.site)
    said = f"Version {version.number} follows what is decided from now on. It decides nothing."
    messages.success(request, said)
    return redirect("fraud:shadow", version.pk)


@require_POST
@role_required(Role.ML_ADMIN)
def stop(request: HttpRequest, version_id: int) -> HttpResponse:
    user, version = user_of(request), _version(request, version_id)
    run = latest_run(version)
    if run is not None and end_shadow(run, RunEnd.STOPPED, by=user, site=user.site):
        messages.success(request, f"Version {version.number} follows no longer. What it said stays.")
    else:
        messages.warning(request, f"Version {version.number} was not in shadow.")
    return redirect("fraud:shadow", version.pk)


@require_GET
@role_required(Role.ML_ADMIN)
def shadow_chart(request: HttpRequest, version_id: int, name: str) -> HttpResponse:
    """One chart's numbers: of the version's latest run, and this site's decisions alone."""
    version = _version(request, version_id)
    if name not in CHARTS:
        raise Http404
    response = JsonResponse(chart_of(name, latest_run(version), user_of(request).site))
    response["Cache-Control"] = "no-store"
    return response


def _version(request: HttpRequest, version_id: int) -> ModelVersion:
    found = version_for(user_of(request).site, version_id)
    if found is None or found.model.domain != "fraud":
        raise Http404
    return found
