"""A real browser over the real bundle; every request is answered here, so no server is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from apps.core.middleware import POLICY
from tests.frontend.test_bundle import DIST, manifest

ORIGIN = "http://lynceus.test"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
Answer = tuple[int, str, bytes]
NO_WEBGL = """for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {
  const given = kind.prototype.getContext;
  kind.prototype.getContext = function (name, ...rest) {
    return /webgl/.test(name) ? null : given.call(this, name, ...rest);
  };
}"""


def shell(body: str) -> bytes:
    entry = manifest()["src/main.ts"]
    return (
        '<!doctype html><html data-icons="/static/icons.svg"><head><meta name="csrf-token" content="tok">'
        '<meta name="htmx-config" content=\'{"allowEval": false, "includeIndicatorStyles": false}\'>'
        f'<link rel="stylesheet" href="/static/{entry["css"][0]}">'
        f'<script type="module" src="/static/{entry["file"]}"></script></head>'
        f'<body><main>{body}</main><div class="toasts"></div></body></html>'
    ).encode()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`open_page(body, {path: route -> (status, type, bytes)})`; a refused style or script fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda m: refused.append(m.text) if "Content Security Policy" in m.text else None)
    page.on("pageerror", lambda error: refused.append(str(error)))

    def opened(
        body: str, answers: dict[str, Callable[[Route], Answer] | None] | None = None, *, webgl: bool = True
    ) -> Page:
        if not webgl:
            page.add_init_script(NO_WEBGL)
        page.unroute_all()

        def handle(route: Route) -> None:
            path = route.request.url.removeprefix(ORIGIN).split("?")[0]
            if path.startswith("/static/"):
                name = path.removeprefix("/static/")
                file = next(p for p in (DIST / name, Path(DIST.parent, "static", name)) if p.is_file())
                route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
            elif answers and path in answers:
                if answers[path] is None:
                    return  # on its way for as long as the test looks
                status, kind, content = answers[path](route)
                route.fulfill(status=status, body=content, content_type=kind)
            else:
                route.fulfill(
                    body=shell(body), content_type="text/html", headers={"Content-Security-Policy": POLICY}
                )

        page.route("**/*", handle)
        page.goto(ORIGIN + "/")
        return page

    yield opened
    context.close()
    assert refused == []
