"""Whatever the page asks for by itself says so, so that an idle session ends on an open page."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

OpenPage = Callable[..., Page]
HEALTH = '<a data-health="/status" hidden><span class="dot"></span><span class="text"></span></a>'
CHART = (
    '<figure class="chart" data-chart data-src="/curve" data-poll="1"><figcaption>Loss</figcaption></figure>'
)
LIVE = '<p id="live" hx-get="/live" hx-trigger="load, every 1s" hx-swap="outerHTML">before</p>'
FORM = (
    '<form class="dropzone" data-dropzone data-url="/send" method="post">'
    '<label for="f">Films</label><input id="f" type="file" name="files" multiple></form>'
)
CLICKED = '<button hx-get="/clicked" hx-target="#live">more</button>'


def test_every_poller_says_that_it_is_one(open_page: OpenPage) -> None:
    said: dict[str, str | None] = {}

    def answer(path: str, body: object) -> Callable[[Route], tuple[int, str, bytes]]:
        def serve(route: Route) -> tuple[int, str, bytes]:
            said[path] = route.request.headers.get("x-lynceus-poll")
            text = body if isinstance(body, str) else json.dumps(body)
            return 200, "text/html" if isinstance(body, str) else "application/json", text.encode()

        return serve

    row = {"name": "a.dcm", "state": "queued", "status_url": "/state"}
    answers = {
        "/status": answer("/status", {"checks": [], "queues": []}),
        "/curve": answer("/curve", {"x": {"name": "e"}, "y": {"name": "l"}, "series": [], "done": True}),
        "/live": answer("/live", '<p id="live">after</p>'),
        "/send": answer("/send", {"files": [row]}),
        "/state": answer("/state", {"state": "analysed", "done": True}),
        "/clicked": answer("/clicked", "clicked"),
    }
    page = open_page(HEALTH + CHART + LIVE + FORM + CLICKED, answers)
    page.set_input_files("#f", [{"name": "a.dcm", "mimeType": "", "buffer": b"x"}])
    expect(page.locator(".files .chip")).to_have_text("analysed")
    expect(page.locator("#live")).to_have_text("after")
    page.get_by_role("button", name="more").click()
    expect(page.locator("#live")).to_have_text("clicked")
    polled = {"/status": "1", "/curve": "1", "/live": "1", "/state": "1"}
    assert said == {**polled, "/send": None, "/clicked": None}
