"""In real Chromium: the pages of de-identified copies, and a viewer that comes from another origin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from apps.core.clock import now
from apps.radiology import tasks
from apps.radiology.models import DicomPeer, PriorFetch
from tests.browser import launch
from tests.radiology.test_exports import CLEAN, PERSON, ask_for, decide, study_of

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
ASK = """([url, token]) => fetch(url, {headers: {Authorization: `Bearer ${token}`}})
  .then(answer => answer.json()).then(rows => rows.length, error => error.name)"""


@contextmanager
def opened(width: int = 1440, scheme: Any = "light", **how: Any) -> Iterator[Page]:
    """Everything of the database has to be done before: playwright keeps Django from it."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **how)
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        assert wrong == []
        browser.close()


@pytest.fixture
def state(client: Any, live_server: Any, radiologist: Any) -> dict[str, Any]:
    """The session of the signed-in radiologist."""
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    return {"cookies": [cookie]}


@pytest.fixture
def copies(radiologist: Any, decoded: Callable[..., Any]) -> list[str]:
    """Paths: the list, one that waits for a person, one that is ready."""
    data = decoded(**PERSON)
    held = ask_for(radiologist, study_of(data), "lungs-2026")
    ready = ask_for(radiologist, study_of(decoded(**PERSON, **CLEAN, seed=2)), "pneumothorax")
    both = ask_for(radiologist, study_of(data), "second-look")
    tasks.make_exports()
    decide(radiologist, both, both.films.get())
    tasks.make_exports()
    study = study_of(data)
    peer = DicomPeer.objects.create(site=study.site, AETitle="PACS", host="127.0.0.1", port=9)
    fault = {"fault": "PACS does not answer.", "attempts": 1, "due_at": now()}
    PriorFetch.objects.create(study=study, peer=peer, **fault)
    pages = [f"/radiology/exports/{one.public_id}/" for one in (held, ready, both)]
    return ["/radiology/exports/", *pages, f"/radiology/studies/{study.public_id}/"]


def test_the_pages_fit_and_a_person_decides(copies, state, live_server) -> None:
    shots = os.environ.get("LYNCEUS_SHOTS")  # to look at
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies(state["cookies"])
            for number, path in enumerate(copies):
                page.goto(live_server.url + path)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                assert page.locator("h1").count() == 1
                if shots:
                    page.screenshot(path=Path(shots, f"{number}-{width}-{scheme}.png"), full_page=True)
    with opened() as page:
        page.context.add_cookies(state["cookies"])
        page.goto(live_server.url + copies[1])
        assert page.locator(".film.still img").evaluate("img => img.complete && img.naturalWidth > 0")
        page.get_by_role("button", name="No text: take it").click()
        page.wait_for_url("**" + copies[1])
        assert page.get_by_text("being made").first.is_visible()
        page.goto(live_server.url + copies[2])
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename.startswith("pneumothorax-")


@pytest.fixture
def origins() -> Iterator[list[str]]:
    """Two places that serve a page: the first a viewer's."""

    class Viewer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return None

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Viewer) for _ in range(2)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_viewer_of_a_named_origin_is_let_in_and_no_other(
    live_server, token, take, settings, origins
) -> None:
    settings.LYNCEUS_DICOMWEB_ORIGINS = origins[:1]
    take()
    with opened() as page:
        said = []
        for origin in origins:
            page.goto(f"{origin}/")
            said.append(page.evaluate(ASK, [f"{live_server.url}/dicom-web/studies", token]))
    assert said == [1, "TypeError"]
