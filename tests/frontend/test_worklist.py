"""The worklist in a real browser over a real server: by keyboard alone, live, and shown at two widths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect, sync_playwright

from apps.core.clock import now
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Study
from tests.browser import launch
from tests.radiology.conftest import arrive, folders, judged, received, send, token, version  # noqa: F401
from tests.radiology.conftest import radiologist as radiologist
from tests.radiology.worklist.conftest import order, ordered  # noqa: F401

DESCRIBED = {"StudyDescription": "Chest PA", "PatientAge": "064Y", "PatientSex": "F"}
SHOTS = os.environ.get("LYNCEUS_SHOTS")


@pytest.fixture
def open_as(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Page]]:
    """A browser of its own: while one runs, Django takes this thread for an event loop's and would not even
    empty the database after the test."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    said: list[str] = []
    with sync_playwright() as playwright, launch(playwright) as browser:

        def opened(client: Client, **options: Any) -> Page:
            context = browser.new_context(base_url=live_server.url, **options)
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
            page = context.new_page()
            page.on("pageerror", lambda error: said.append(str(error)))
            return page

        yield opened
    assert said == []


@pytest.mark.django_db(transaction=True)
def test_a_morning_by_keyboard(open_as, radiologist, ordered, received, judged, make_user) -> None:  # noqa: F811
    routine, stat = ordered(), ordered("stat", PatientID="9001")
    colleague = Client()
    colleague.force_login(make_user("radiologist", email="c@example.org", full_name="Dr Colleague"))
    page = open_as(radiologist, viewport={"width": 1440, "height": 900})
    page.goto("/radiology/")
    rows = page.locator("#rows tr")
    expect(rows.first).to_contain_text("STAT")
    # Somebody else takes a study, and a new one comes: without a reload.
    page.evaluate("window.stillTheSamePage = true")
    colleague.post(f"/radiology/studies/{stat.public_id}/read/")
    expect(rows.first).to_contain_text("Dr Colleague reads")
    received()
    expect(rows).to_have_count(3)
    expect(page.locator("#standing")).to_contain_text("3 studies to read", timeout=10_000)
    assert page.evaluate("window.stillTheSamePage")
    # The sheet tells the keys.
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    for text in ("Lock and read the next study", "Filters", "Search this page"):
        expect(sheet).to_contain_text(text)
    page.keyboard.press("Escape")
    # Filters, and a view of them under a digit.
    page.keyboard.press("f")
    expect(page.get_by_label("Reads")).to_be_focused()
    page.get_by_label("Modality").select_option("DX")
    page.wait_for_url("**modality=DX**")
    page.get_by_label("Name for this view").fill("Mine")
    page.keyboard.press("Enter")
    page.wait_for_url("**/radiology/?modality=DX")
    page.keyboard.press("0")
    page.wait_for_url("**/radiology/")
    page.keyboard.press("1")
    page.wait_for_url("**/radiology/?modality=DX")
    page.keyboard.press("/")
    page.keyboard.type("9001")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=9001**")
    expect(rows).to_have_count(1)
    # Lock and next: past the one that the colleague has.
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url(f"**/studies/{routine.public_id}/")
    expect(page.get_by_role("button", name="Commit read")).to_be_visible()
    # Films that come now are said.
    received(StudyInstanceUID=routine.StudyInstanceUID)
    expect(page.get_by_role("alert")).to_contain_text("1 film came after you opened", timeout=15_000)


@pytest.mark.django_db(transaction=True)
def test_a_full_list_fits(open_as, radiologist, ordered, order, received, judged, make_user) -> None:  # noqa: F811
    """All that a row may say, wide and narrow, dark and light; and what a study's page says of it."""
    names = ("stat", "urgent", "urgent", "routine", "routine", "routine")
    studies = [ordered(one, PatientID=f"90{n}", **DESCRIBED) for n, one in enumerate(names)]
    for number, study in enumerate(studies[:4]):
        order(study.StudyInstanceUID, location=f"ER {number}", clinical_question="Pneumothorax after a line?")
    for study in studies[1:4:2]:
        judged(study.instances.get(), Effusion=(0.83, 0.41), Nodule=(0.4, 0.3))
    analyse_instance(received(ViewPosition="LL", StudyDate="20200101", **DESCRIBED).pk)
    Study.objects.filter(pk=studies[4].pk).update(received_at=now() - timedelta(hours=25))
    colleague = make_user("radiologist", email="c@example.org", full_name="Dr Colleague")
    other = Client()
    other.force_login(colleague)
    other.post(f"/radiology/studies/{studies[0].public_id}/read/")
    door = f"/radiology/studies/{studies[1].public_id}/read/"
    radiologist.post(door)
    radiologist.post(f"{door}commit/")
    other.post(f"/radiology/studies/{studies[5].public_id}/read/")
    note = {"text": "Half a report.", "note": "Called away: please finish."}
    other.post(f"/radiology/studies/{studies[5].public_id}/read/hand-over/", note)
    received(StudyInstanceUID=studies[1].StudyInstanceUID, PatientID="901")
    page = open_as(radiologist)
    places = {"list": "/radiology/?reading=", "handed": studies[5], "late": studies[1]}
    for name, place in places.items():
        page.goto(place if isinstance(place, str) else f"/radiology/studies/{place.public_id}/")
        for width, scheme in ((1440, "dark"), (1440, "light"), (390, "dark"), (390, "light")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)
        if name == "list":
            expect(page.locator("#rows tr")).to_have_count(7)


@pytest.mark.django_db(transaction=True)
def test_a_letter_alone_leads_nowhere_however_young_the_page(open_as, radiologist) -> None:
    page = open_as(radiologist)
    page.add_init_script("performance.now = () => 100")
    page.goto("/radiology/")
    place = page.locator(".rail [data-shortcut]").last
    letter = (place.get_attribute("data-shortcut") or "").removeprefix("g ")
    page.keyboard.press(letter)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.url.endswith("/radiology/")
    page.keyboard.press("g")
    page.keyboard.press(letter)
    page.wait_for_url(f"**{place.get_attribute('href')}")
