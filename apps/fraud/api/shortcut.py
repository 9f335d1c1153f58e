"""The way to the busy doors that leaves Django's out: sessions, CSRF, pages and templates have no part there.

A request goes this way only where a program says who it is and how long its body is. Everything else, and
every other address, goes Django's way, where the same doors stand behind the same addresses. This way runs on
the web process's event loop: a request that waits for its decision holds no thread.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any

import structlog
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.core.aside import aside
from apps.core.errors import PROBLEM, LynceusError, internal_error, problem_body
from apps.core.metrics import observe
from apps.core.middleware import POLICY, bind_request_id
from apps.fraud.api import doors
from apps.fraud.decide.services.together import Desk

log = structlog.get_logger(__name__)
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Door = Callable[[doors.Headers, bytes], Awaitable[doors.Reply]]


class Headers(dict[str, str]):
    """By names in any case. One sent twice is its values with a comma between."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__()
        for name, value in raw:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            self[key] = f"{self[key]},{text}" if key in self else text

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


@cache
def _always(secure: bool, known: bool) -> list[tuple[bytes, bytes]]:
    """What Django's middleware adds to an answer, by the same settings."""
    hsts = f"max-age={settings.SECURE_HSTS_SECONDS}" if secure and settings.SECURE_HSTS_SECONDS else ""
    headers = {
        "strict-transport-security": hsts,
        "x-content-type-options": "nosniff",
        "referrer-policy": settings.SECURE_REFERRER_POLICY,
        "cross-origin-opener-policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "content-security-policy": POLICY,
        "x-frame-options": settings.X_FRAME_OPTIONS,
        "cache-control": "no-store" if known else "",
    }
    return [(name.encode(), value.encode()) for name, value in headers.items() if value]


def shortcut(pages: Application) -> Application:
    """`pages` is Django, for all that does not go this way."""
    open_doors: dict[str, Door] = {
        "/api/v1/transactions": lambda headers, body: aside(doors.receive, headers, body),
        "/api/v1/decisions": partial(doors.decide_soon, Desk()),
    }

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        door = open_doors.get(scope["path"]) if scope["type"] == "http" else None
        if door is None or not _is_plain(scope, headers := Headers(scope["headers"])):
            await pages(scope, receive, send)
        else:
            await _answer(door, headers, scope, receive, send)

    return application


def _is_plain(scope: Scope, headers: Headers) -> bool:
    """Django refuses or redirects what it would; see its settings of these names."""
    return (
        scope["method"] == "POST"
        and headers.get("content-length", "").isdigit()
        and doors.says_who(headers)
        and (_is_secure(scope, headers) or not settings.SECURE_SSL_REDIRECT)
        and validate_host(split_domain_port(headers.get("host", ""))[0], _hosts())
    )


def _is_secure(scope: Scope, headers: Headers) -> bool:
    name, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    if not name:
        return bool(scope["scheme"] == "https")
    return bool(headers.get(name.removeprefix("HTTP_").replace("_", "-")) == value)


def _hosts() -> list[str]:
    return settings.ALLOWED_HOSTS or [".localhost", "127.0.0.1", "[::1]"]


async def _answer(door: Door, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
    started = time.perf_counter()
    request_id = bind_request_id(headers.get("x-request-id", ""))
    retry: list[tuple[bytes, bytes]] = []
    try:
        if int(headers["content-length"]) > doors.BODY_MAX_BYTES:
            raise doors.too_large()
        reply = await door(headers, await _body(receive))
        status, kind, body = reply.status, doors.JSON, reply.body
    except Exception as error:
        known = error if isinstance(error, LynceusError) else internal_error()
        if known is not error:
            log.exception("internal_error", path=scope["path"])
        status, kind, body = known.status, PROBLEM, problem_body(known)
        if known.retry_after_s is not None:
            retry = [(b"retry-after", str(known.retry_after_s).encode())]
    own = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    always = _always(_is_secure(scope, headers), "authorization" in headers)
    await send({"type": "http.response.start", "status": status, "headers": [*own, *always, *retry]})
    await send({"type": "http.response.body", "body": body})
    observe(scope["path"][1:], "POST", status, time.perf_counter() - started)


async def _body(receive: Receive) -> bytes:
    """Whole: no more of it is read than `content-length` promised, as HTTP has it."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
