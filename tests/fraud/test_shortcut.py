"""The way past Django: the same answers under the same addresses, and nothing that Django would refuse."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client
from prometheus_client import REGISTRY

from apps.fraud.api import doors, shortcut
from apps.fraud.models import Transaction
from tests.fraud.conftest import event
from tests.fraud.test_decide_now import token

__all__ = ["token"]
pytestmark = pytest.mark.django_db(transaction=True)  # either way drops what a connection was doing
# Of one request alone; and that an answer depends on cookies, which only Django's way looks at.
ITS_OWN = {"x-request-id", "vary"}
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def no_connection_outlives_a_request(monkeypatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


async def never(*_: object) -> Any:
    raise AssertionError("it went Django's way")


def environ_of(body: bytes, **environ: str) -> dict[str, str]:
    return {
        "REQUEST_METHOD": "POST", "HTTP_HOST": "testserver", "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), **environ,
    }  # fmt: skip


def through_django(application: Callable[..., Any], body: bytes, **environ: str) -> Answer:
    said: list[Any] = []
    given = {"SERVER_NAME": "testserver", "SERVER_PORT": "80", "wsgi.input": io.BytesIO(body)}
    given |= environ_of(body, **environ)
    content = b"".join(application(given, lambda status, headers: said.append((status, headers))))
    status, headers = said[0]
    return int(status.split()[0]), {name.lower(): value for name, value in headers}, content


def call(application: shortcut.Application, body: bytes, **environ: str) -> Answer:
    """The same request as an ASGI server would bring it, its body in two parts."""
    given = environ_of(body, **environ)
    headers = [
        (name.removeprefix("HTTP_").replace("_", "-").lower().encode(), value.encode("latin-1", "replace"))
        for name, value in given.items()
        if name.startswith(("HTTP_", "CONTENT_"))
    ]
    scope = {
        "type": "http", "method": given["REQUEST_METHOD"], "path": given["PATH_INFO"],
        "scheme": given["wsgi.url_scheme"], "headers": headers,
    }  # fmt: skip
    parts = [body[10:], body[:10]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    start, content = sent
    return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, content["body"]


def signed_headers(post: Callable[..., Any], body: Any) -> dict[str, str]:
    """The headers that `post` signs this body with."""
    request = post(body).wsgi_request
    names = ("webhook-id", "webhook-timestamp", "webhook-signature", "lynceus-source")
    return {f"HTTP_{name.upper().replace('-', '_')}": request.headers[name] for name in names}


@pytest.fixture
def both(token, source) -> Callable[..., tuple[Answer, Answer]]:
    """A request by either way."""

    def ask(path: str, body: bytes, **environ: str) -> tuple[Answer, Answer]:
        django = get_wsgi_application()
        given = {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_LYNCEUS_SOURCE": source.slug, **environ}
        given["PATH_INFO"] = path
        return call(shortcut.shortcut(never), body, **given), through_django(django, body, **given)

    return ask


def same(ours: Answer, theirs: Answer) -> None:
    assert ours[0] == theirs[0]
    assert {name: value for name, value in ours[1].items() if name not in ITS_OWN} == {
        name: value for name, value in theirs[1].items() if name not in ITS_OWN
    }
    assert json.loads(ours[2]) == json.loads(theirs[2])


@pytest.mark.parametrize(
    ("path", "body", "environ"),
    [
        ("/api/v1/decisions", b"{", {}),
        ("/api/v1/decisions", b"[]", {}),
        ("/api/v1/decisions", b"{}", {}),
        ("/api/v1/decisions", b"{}", {"HTTP_AUTHORIZATION": "Bearer nobody"}),
        ("/api/v1/decisions", b"{}", {"HTTP_AUTHORIZATION": "Basic eDp5"}),
        ("/api/v1/decisions", b"{}", {"HTTP_LYNCEUS_SOURCE": "nobody"}),
        ("/api/v1/decisions", b"{}", {"HTTP_LYNCEUS_DEADLINE_MS": "soon"}),
        ("/api/v1/decisions", b" " * (doors.BODY_MAX_BYTES + 1), {}),
        ("/api/v1/transactions", b"{}", {}),
        ("/api/v1/transactions", b"{}", {"HTTP_WEBHOOK_SIGNATURE": "v1,AAAA"}),
        ("/api/v1/transactions", b"{}", {"HTTP_WEBHOOK_SIGNATURE": "\xff"}),
    ],
)
def test_what_is_refused_is_refused_alike(both, path: str, body: bytes, environ: dict[str, str]) -> None:
    ours, theirs = both(path, body, **environ)
    assert ours[0] >= 400
    same(ours, theirs)


def test_an_event_decided_is_answered_alike(both) -> None:
    ours, theirs = both("/api/v1/decisions", json.dumps(event()).encode())
    assert (ours[0], json.loads(ours[2])["decision"]) == (200, "approve")
    same(ours, theirs)
    assert Transaction.objects.count() == 1


def test_a_signed_batch_is_taken_alike(both, post) -> None:
    body = [event("e1"), event("e2")]
    signed = signed_headers(post, body)
    del signed["HTTP_LYNCEUS_SOURCE"]
    ours, theirs = both("/api/v1/transactions", json.dumps(body).encode(), **signed)
    assert (ours[0], json.loads(ours[2])) == (202, {"accepted": [], "duplicates": ["e1", "e2"]})
    same(ours, theirs)


def test_nobody_hears_of_an_error_of_ours_and_the_log_does(both, monkeypatch, capfd) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("card-" + "0001")

    monkeypatch.setattr(doors, "check_events", broken)
    monkeypatch.setattr("django.core.handlers.exception.settings.DEBUG_PROPAGATE_EXCEPTIONS", False)
    ours, theirs = both("/api/v1/decisions", json.dumps(event()).encode())
    assert ours[0] == 500 and b"ZeroDivision" not in ours[2]
    same(ours, theirs)
    told = "".join(capfd.readouterr())
    assert "internal_error" in told and "card-0001" not in told


@pytest.mark.parametrize(
    ("settings_", "environ"),
    [
        ({}, {"REQUEST_METHOD": "GET"}),
        ({}, {"PATH_INFO": "/livez"}),
        ({}, {"HTTP_AUTHORIZATION": ""}),
        ({}, {"CONTENT_LENGTH": ""}),
        ({}, {"CONTENT_LENGTH": "-1"}),
        ({}, {"HTTP_HOST": "elsewhere.example"}),
        ({"SECURE_SSL_REDIRECT": True}, {}),
        ({"SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
         {"wsgi.url_scheme": "https"}),
    ],
)  # fmt: skip
def test_what_django_looks_at_first_goes_its_way(settings, token, settings_, environ) -> None:
    for name, value in settings_.items():
        setattr(settings, name, value)
    asked: list[str] = []

    async def django(scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    given = {"HTTP_AUTHORIZATION": f"Bearer {token}", "PATH_INFO": "/api/v1/decisions", **environ}
    if not given["HTTP_AUTHORIZATION"]:
        del given["HTTP_AUTHORIZATION"]
    call(shortcut.shortcut(django), body=b"{}", **given)
    assert len(asked) == 1


@pytest.fixture
def afresh() -> Iterator[None]:
    shortcut._always.cache_clear()
    yield
    shortcut._always.cache_clear()


def test_behind_a_proxy_with_tls_it_is_open_and_says_so(settings, afresh, both) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 3600
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ours, theirs = both("/api/v1/decisions", b"{", HTTP_X_FORWARDED_PROTO="https")
    assert ours[1]["strict-transport-security"]
    same(ours, theirs)


def test_it_is_counted_as_the_other_way_is(both) -> None:
    labels = {"route": "api/v1/decisions", "method": "POST", "status": "400"}
    before = REGISTRY.get_sample_value("lynceus_http_seconds_count", labels) or 0
    both("/api/v1/decisions", b"{")
    assert REGISTRY.get_sample_value("lynceus_http_seconds_count", labels) == before + 2


def test_a_person_signed_in_may_not_use_it(client: Client, make_user, source) -> None:
    client.force_login(make_user("fraud_analyst"))
    answer = client.post("/api/v1/decisions", json.dumps(event()), content_type="application/json")
    assert answer.status_code == 403
