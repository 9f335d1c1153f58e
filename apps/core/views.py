"""Health, metrics, status and the error pages."""

from __future__ import annotations

import hmac
from dataclasses import asdict
from typing import Any

import prometheus_client
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from apps.core.errors import LynceusError, internal_error, problem_response, wants_json
from apps.core.metrics import exposition
from apps.core.status import loaded_parts, queue_report, run_checks, worker_nodes

LOOPBACK = {"127.0.0.1", "::1", ""}
# What a proxy adds. Behind one on this host every request comes from loopback, so the address says nothing.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
FULL_STATUS = {"operator", "ml_admin", "auditor"}


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("alive\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Anyone may ask, so no more than names: versions and what is wrong in words are for /status."""
    results = run_checks(everything=False)
    ready = all(result.ok for result in results)
    body = {"ready": ready, "checks": [{"name": one.name, "ok": one.ok} for one in results]}
    return JsonResponse(body, status=200 if ready else 503)


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for a scraper on this host or with the token: the numbers say how busy a site is."""
    if not _may_scrape(request):
        raise Http404
    return HttpResponse(exposition(), content_type=prometheus_client.CONTENT_TYPE_LATEST)


def _may_scrape(request: HttpRequest) -> bool:
    if token := settings.LYNCEUS_METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(given.encode(), token.encode())
    through_proxy = any(name in request.headers for name in FORWARDED)
    return request.META.get("REMOTE_ADDR", "") in LOOPBACK and not through_proxy


@require_GET
@login_required
def status(request: HttpRequest) -> HttpResponse:
    """Every part for who keeps the house; for who works in it only which part is down."""
    nodes = worker_nodes()
    checks = [asdict(check) for check in run_checks(everything=True)]
    queues, loaded = queue_report(nodes), loaded_parts(nodes)
    full = getattr(request.user, "role", "") in FULL_STATUS
    if not full:
        checks = [{"name": check["name"], "ok": check["ok"]} for check in checks]
        queues = [{"name": queue["name"], "workers": queue["workers"]} for queue in queues]
        loaded = []
    document: dict[str, Any] = {"checks": checks, "queues": queues, "loaded": loaded}
    if wants_json(request.path, request.headers.get("Accept", "")):
        return JsonResponse(document)
    return render(request, "core/status.html", {**document, "full": full})


def _error(request: HttpRequest, code: str, message: str, status: int) -> HttpResponse:
    return _say(request, LynceusError(code, message, status=status))


def _say(request: HttpRequest, error: LynceusError) -> HttpResponse:
    if wants_json(request.path, request.headers.get("Accept", "")):
        return problem_response(error)
    return render(request, "errors/known.html", {"error": error}, status=error.status)


def error_400(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, "bad_request", "The request is malformed.", 400)


def error_403(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, "forbidden", "Your role may not open this.", 403)


def error_404(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, "not_found", "There is nothing here, or it belongs to another site.", 404)


def error_500(request: HttpRequest) -> HttpResponse:
    return _say(request, internal_error())
