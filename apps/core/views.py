"""Health, metrics, status and the error pages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import prometheus_client
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from apps.core.errors import LynceusError, problem_response, wants_json
from apps.core.status import queue_report, run_checks

LOOPBACK = {"127.0.0.1", "::1", ""}


def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("alive\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    results = run_checks(everything=False)
    ready = all(result.ok for result in results)
    body = {"ready": ready, "checks": [asdict(result) for result in results]}
    return JsonResponse(body, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for a scraper on this host: the numbers say how busy a site is."""
    if request.META.get("REMOTE_ADDR", "") not in LOOPBACK:
        raise Http404
    text = prometheus_client.generate_latest()
    return HttpResponse(text, content_type=prometheus_client.CONTENT_TYPE_LATEST)


def status(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        from django.contrib.auth.views import redirect_to_login

        return redirect_to_login(request.path)
    checks = run_checks(everything=True)
    context: dict[str, Any] = {"checks": checks, "queues": queue_report()}
    if wants_json(request.path, request.headers.get("Accept", "")):
        return JsonResponse({"checks": [asdict(c) for c in checks], "queues": context["queues"]})
    return render(request, "core/status.html", context)


def _error(request: HttpRequest, code: str, message: str, status: int) -> HttpResponse:
    error = LynceusError(code, message, status=status)
    if wants_json(request.path, request.headers.get("Accept", "")):
        return problem_response(error)
    return render(request, "errors/known.html", {"error": error}, status=status)


def error_400(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, "bad_request", "The request is malformed.", 400)


def error_403(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, "forbidden", "Your role may not open this.", 403)


def error_404(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _error(request, "not_found", "There is nothing here, or it belongs to another site.", 404)


def error_500(request: HttpRequest) -> HttpResponse:
    return _error(request, "internal_error", "Something went wrong on our side. It has been logged.", 500)
