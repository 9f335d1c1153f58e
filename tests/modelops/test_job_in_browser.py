"""A job's buttons in real Chromium, over a training process that hears of them; its page in every look."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from apps.modelops.common.places import job_folder
from apps.modelops.jobs.services.control import request_cancel
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import TrainingJob
from tests.e2e.test_accessibility import violations
from tests.fraud.test_queue_in_browser import aside
from tests.integration.running import eventually
from tests.modelops.test_job import address_of
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("child_can_start")]
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at
SOON_MS = 60_000


@pytest.fixture
def cookie(make_user, live_server) -> dict[str, str]:
    client = Client()
    client.force_login(make_user("ml_admin"))
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


@contextmanager
def worker(job: TrainingJob) -> Iterator[None]:
    """The job's supervisor, in a thread of its own: playwright keeps Django from the database in this one."""

    thread = threading.Thread(target=aside, args=(lambda: run_next(job.pk),))
    thread.start()
    try:
        yield
    except BaseException:
        aside(lambda: request_cancel(job, by=None))
        raise
    finally:
        thread.join()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def says(page: Page, state: str) -> None:
    expect(page.locator("h1 .chip, .chip").first).to_have_text(state, timeout=SOON_MS)


def looked_at(page: Page, name: str) -> list[str]:
    found: list[str] = []
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        if SHOTS:
            page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
        found += violations(page, f"{name} {width} {scheme}")
    return found


def test_it_works(make_job, cookie, live_server) -> None:
    first, second = make_job("outlives"), make_job("waits")
    with opened() as page:
        page.context.add_cookies([cookie])
        page.goto(live_server.url + address_of(first))
        says(page, "queued")
        with worker(first):
            says(page, "running")
            eventually(lambda: (job_folder(first.pk) / "steps").exists(), of="a checkpoint")
            press(page, "Pause")
            says(page, "paused")
        found = looked_at(page, "paused")
        press(page, "Resume from its checkpoint")
        says(page, "queued")
        with worker(first):
            says(page, "succeeded")
        expect(page.get_by_role("link", name="Open version 1")).to_be_visible()
        page.goto(live_server.url + address_of(second))
        with worker(second):
            says(page, "running")
            press(page, "Cancel job")
            page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
            says(page, "cancelled")
        expect(page.get_by_role("link", name="Train again")).to_be_visible()
        found += looked_at(page, "cancelled")
    assert found == []
