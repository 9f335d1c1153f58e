"""Two to four versions beside each other."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import versions_for
from apps.modelops.models import ModelVersion
from apps.modelops.registry import domain_named
from apps.modelops.versions.comparison_page import measured_table, name_of, page_of
from apps.modelops.versions.curve_charts import CHARTS, draw_curves
from apps.modelops.versions.services.comparisons import MOST, ask_for, comparison_of, in_order, without_scores


@require_GET
@role_required(Role.ML_ADMIN)
def compare(request: HttpRequest) -> HttpResponse:
    """`?versions=3,5`, or `versions` several times. A worker is asked for what is not known yet."""
    versions = _versions(request)
    lacking = without_scores(versions)
    if not lacking:
        ask_for(versions)
    context = {
        **_context(request, versions, lacking),
        "domain": domain_named(versions[0].model.domain),
        "versions": versions,
        "measured": measured_table(versions),
        "active": "models",
    }
    return render(request, "modelops/compare.html", context)


@require_GET
@role_required(Role.ML_ADMIN)
def comparison(request: HttpRequest) -> HttpResponse:
    """The part of the page that waits for the worker; 204 while it still waits."""
    versions = _versions(request)
    if comparison_of(versions) is None:
        return HttpResponse(status=204)
    response = render(request, "modelops/comparison.html", _context(request, versions, []))
    response["Cache-Control"] = "no-store"
    return response


@require_GET
@role_required(Role.ML_ADMIN)
def compared_curves(request: HttpRequest, chart: str) -> HttpResponse:
    """One chart of one finding (`?finding=`), a line for each version; 404 where there is nothing to draw."""
    versions = _versions(request)
    told, finding = comparison_of(versions) or {}, request.GET.get("finding", "")
    lines = [
        (name_of(version), each["curves"][finding])
        for version, each in zip(versions, told.get("versions", []), strict=False)
        if finding in each["curves"]
    ]
    if chart not in CHARTS or not lines:
        raise Http404
    return JsonResponse(draw_curves(chart, lines))


def _context(
    request: HttpRequest, versions: list[ModelVersion], lacking: list[ModelVersion]
) -> dict[str, Any]:
    told = None if lacking else comparison_of(versions)
    query = ",".join(str(one.pk) for one in versions)
    context = {
        "lacking": lacking,
        "first": versions[0],
        "query": query,
        "waits": told is None and not lacking,
    }
    if told is None or "error" in told:
        return {**context, "error": (told or {}).get("error")}
    domain = domain_named(versions[0].model.domain)
    findings = [name for name in told["names"] if name in (told["versions"] or [{"curves": {}}])[0]["curves"]]
    asked = request.GET.get("finding", "")
    return {
        **context, **page_of(domain, versions, told), "charts": CHARTS.items(), "findings": findings,
        "finding": asked if asked in findings else next(iter(findings), ""),
    }  # fmt: skip


def _versions(request: HttpRequest) -> list[ModelVersion]:
    """404 unless every one of them is the site's own."""
    given = [part for value in request.GET.getlist("versions") for part in value.split(",") if part]
    if any(not part.isdecimal() or len(part) > 18 for part in given) or len(given) > MOST * 2:
        raise LynceusError("invalid_versions", "Versions are named by their keys, by comma.", status=422)
    wanted = {int(part) for part in given}
    found = versions_for(user_of(request).site, wanted)
    if len(found) < len(wanted):
        raise Http404
    return in_order(found)
