"""Request id, content security policy, and known errors turned into pages or problem documents."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render

from apps.core.errors import LynceusError, problem_response, wants_json

GetResponse = Callable[[HttpRequest], HttpResponse]
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "style-src 'self'",
        "script-src 'self'",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


def request_id(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        value = bind_request_id(request.headers.get("X-Request-Id", ""))
        response = get_response(request)
        response["X-Request-Id"] = value
        return response

    return middleware


def bind_request_id(given: str) -> str:
    """The caller's own id where it may be one, else a new one; every line of the log has it from now on."""
    value = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=value)
    return value


def content_security_policy(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


PAGE_METHODS = {"GET", "HEAD", "OPTIONS", "POST"}


def page_methods(get_response: GetResponse) -> GetResponse:
    """Class-based views and the admin would take PUT for POST and DELETE for GET: no page means that."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method not in PAGE_METHODS and not request.path.startswith("/api/"):
            return HttpResponseNotAllowed(sorted(PAGE_METHODS))
        return get_response(request)

    return middleware


class problem_details:  # noqa: N801 - listed beside the function middlewares above
    """LynceusError becomes a problem document for programs and a page for people."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, LynceusError):
            return None
        if wants_json(request.path, request.headers.get("Accept", "")):
            return problem_response(error)
        return render(request, "errors/known.html", {"error": error}, status=error.status)
