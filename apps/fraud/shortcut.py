"""The way to the busy doors that leaves Django's out: sessions, CSRF, pages and templates have no part there.

A request goes this way only where a program says who it is and how long its body is. Everything else, and
every other address, goes Django's way, where the same doors stand behind the same addresses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.http.request import HttpHeaders, split_domain_port, validate_host

from apps.core.errors import PROBLEM, LynceusError, internal_error, problem_body
from apps.core.metrics import observe
from apps.core.middleware import POLICY, bind_request_id
from apps.fraud import doors

log = structlog.get_logger(__name__)
Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
DOORS: dict[str, doors.Door] = {
    "/api/v1/transactions": doors.receive,
    "/api/v1/decisions": doors.decide,
}


@cache
def _always(secure: bool, known: bool) -> list[tuple[str, str]]:
    """What Django's middleware adds to an answer, by the same settings."""
    hsts = f"max-age={settings.SECURE_HSTS_SECONDS}" if secure and settings.SECURE_HSTS_SECONDS else ""
    headers = {
        "Strict-Transport-Security": hsts,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Content-Security-Policy": POLICY,
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        "Cache-Control": "no-store" if known else "",
    }
    return [(name, value) for name, value in headers.items() if value]


def shortcut(django: Any) -> Callable[[Environ, StartResponse], Any]:
    def application(environ: Environ, start_response: StartResponse) -> Any:
        door = DOORS.get(environ["PATH_INFO"])
        if door is None or not _is_plain(environ, headers := HttpHeaders(environ)):
            return django(environ, start_response)
        return _answer(door, headers, environ, int(environ["CONTENT_LENGTH"]), start_response)

    return application


def _is_plain(environ: Environ, headers: Any) -> bool:
    """Django refuses or redirects what it would; see its settings of these names."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and (environ.get("CONTENT_LENGTH") or "").isdigit()
        and doors.says_who(headers)
        and (_is_secure(environ) or not settings.SECURE_SSL_REDIRECT)
        and validate_host(split_domain_port(headers.get("Host", ""))[0], _hosts())
    )


def _is_secure(environ: Environ) -> bool:
    name, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    return bool(environ.get(name) == value if name else environ["wsgi.url_scheme"] == "https")


def _hosts() -> list[str]:
    return settings.ALLOWED_HOSTS or [".localhost", "127.0.0.1", "[::1]"]


def _answer(
    door: doors.Door, headers: Any, environ: Environ, length: int, start_response: StartResponse
) -> list[bytes]:
    started = time.perf_counter()
    request_id = bind_request_id(headers.get("X-Request-Id", ""))
    close_old_connections()
    retry: list[tuple[str, str]] = []
    try:
        if length > doors.BODY_MAX_BYTES:
            raise doors.too_large()
        reply = door(headers, environ["wsgi.input"].read(length))
        status, kind, body = reply.status, doors.JSON, reply.body
    except Exception as error:
        known = error if isinstance(error, LynceusError) else internal_error()
        if known is not error:
            log.exception("internal_error", path=environ["PATH_INFO"])
        status, kind, body = known.status, PROBLEM, problem_body(known)
        if known.retry_after_s is not None:
            retry = [("Retry-After", str(known.retry_after_s))]
    finally:
        close_old_connections()
    length_and_kind = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    line = f"{status} {HTTPStatus(status).phrase}"
    always = _always(_is_secure(environ), "Authorization" in headers)
    start_response(line, [*length_and_kind, *always, ("X-Request-Id", request_id), *retry])
    observe(environ["PATH_INFO"][1:], "POST", status, time.perf_counter() - started)
    return [body]
