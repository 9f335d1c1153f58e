"""What the web process makes of a request before Django sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config import asgi

pytestmark = pytest.mark.django_db


def seen_by_django(monkeypatch, headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    seen: list[dict[str, Any]] = []

    async def django(scope: dict[str, Any], *_: Any) -> None:
        seen.append(scope)

    monkeypatch.setattr(asgi, "_threads", django)
    scope = {"type": "http", "method": "GET", "path": "/livez", "headers": headers}
    asyncio.run(asgi.application(scope, None, None))  # type: ignore[arg-type]
    return dict(seen[0]["headers"])


def test_a_header_with_underscores_does_not_pass_for_one_with_hyphens(monkeypatch) -> None:
    """WSGI spells both HTTP_X_FORWARDED_PROTO, and a proxy looks after one of them alone."""
    sent = [(b"x_forwarded_proto", b"https"), (b"x-forwarded-proto", b"http"), (b"host", b"testserver")]
    assert seen_by_django(monkeypatch, sent) == {b"x-forwarded-proto": b"http", b"host": b"testserver"}
