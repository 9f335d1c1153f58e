"""axe-core over a radiologist's pages: no serious or critical violation, wide and narrow, dark and light."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Locator, Page, expect

from ml.radiology.synthetic import synthetic_film
from tests.e2e.conftest import Open
from tests.integration.running import Running

AXE = Path(__file__).resolve().parents[2] / "frontend/node_modules/axe-core/axe.min.js"
PATIENCE_MS = 60_000
ROUND_THE_READS = (
    "/radiology/communications/?shown=settled", "/radiology/deliveries/", "/radiology/quality/",
    "/radiology/deliveries/?state=waiting", "/radiology/discrepancies/?state=settled", "/radiology/reads/",
    "/radiology/exports/",
)  # fmt: skip
PLACES = ("/radiology/", "/radiology/upload/", "/radiology/changes/", "/radiology/patients/")


def violations(page: Page, where: str) -> list[str]:
    """Serious and critical ones, each with the first elements concerned."""
    page.emulate_media(reduced_motion="reduce")  # a colour on its way to another is neither
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{where}: {one['id']} at {[node['target'] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def other_pixels(demo: Running, seed: int) -> None:
    """A film, and another under its UIDs: the second is kept aside."""
    first = pydicom.dcmread(io.BytesIO(synthetic_film(seed, 0).content))
    second = copy.deepcopy(first)
    second.PixelData = bytes(reversed(first.PixelData))
    for data in (first, second):
        path = demo.var / "aside.dcm"
        data.save_as(path, enforce_file_format=True)
        assert demo.store_by_http([path]).status_code in (200, 202, 409)


def at_study(page: Page) -> None:
    expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_no_page_of_a_radiologists_day_shuts_anybody_out(
    demo: Running, open_as: Open, width: int, scheme: str
) -> None:
    film = synthetic_film(78, width).content
    found: list[str] = []
    with open_as("radiologist", width=width, scheme=scheme) as page:
        for place in PLACES:
            page.goto(place)
            found += violations(page, place)
        other_pixels(demo, 79 + width)
        page.goto("/radiology/changes/")
        page.locator("a[href*='/aside/']").first.click()
        page.wait_for_url("**/aside/**")
        found += violations(page, "aside")
        page.goto("/radiology/upload/")
        page.set_input_files(
            "input[type=file]", [{"name": "film.dcm", "mimeType": "application/octet-stream", "buffer": film}]
        )
        row = page.locator(".files li").first
        expect(row.locator(".chip")).to_have_text("analysed", timeout=PATIENCE_MS)
        found += violations(page, "sent")
        row.get_by_role("link").click()
        at_study(page)
        found += violations(page, "study")
        page.get_by_role("button", name="Read this study").click()
        at_study(page)
        found += violations(page, "draft")
        page.get_by_label("Template").select_option("chest_pa")
        page.get_by_role("button", name="Use").click()
        expect(page.get_by_label("Impression")).to_be_visible()
        at_study(page)
        found += violations(page, "template")
        page.get_by_role("radio", name="pleural effusion: present").check()
        page.get_by_role("button", name="Draw a box for pleural effusion on the film").click()
        page.keyboard.press("ArrowRight")
        found += violations(page, "box by keys")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Commit read").click()
        expect(page.get_by_role("button", name="Sign")).to_be_visible(timeout=PATIENCE_MS)
        at_study(page)
        page.get_by_text("Critical finding", exact=True).click()
        page.get_by_label("What is critical").select_option("Pleural effusion")
        page.get_by_role("button", name="Mark as critical").click()
        at_study(page)
        found += violations(page, "revealed")
        page.get_by_label("Sign without communication").check()
        page.get_by_role("button", name="Sign").click()
        found += violations(page, "question")
        page.locator("dialog").get_by_role("button", name="Sign").click()
        expect(page.get_by_role("button", name="Sign")).to_have_count(0, timeout=PATIENCE_MS)
        at_study(page)
        found += violations(page, "signed")
        page.keyboard.press("?")
        found += violations(page, "keys")
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Your report").click()
        found += violations(page, "report")
        page.goto("/radiology/communications/")
        found += violations(page, "communication")
    assert found == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_nor_does_any_page_round_the_reads(demo: Running, open_as: Open, width: int, scheme: str) -> None:
    found: list[str] = []
    with open_as("radiologist", width=width, scheme=scheme) as page:

        def look(place: str) -> None:
            page.goto(place)
            found.extend(violations(page, place))

        def follow(link: Locator, where: str) -> None:
            link.click()
            page.wait_for_load_state()
            found.extend(violations(page, where))

        for place in ROUND_THE_READS:
            look(place)
        look("/radiology/quality/?finding=Effusion")
        expect(page.locator("figure canvas")).to_have_count(2)
        page.keyboard.press("t")
        found += violations(page, "charts as tables")
        page.goto("/radiology/exports/")
        follow(page.locator("tbody a").first, "copy")
        page.goto("/radiology/discrepancies/")
        follow(page.locator("tbody tr", has_text="you have not read").locator("a").first, "shut case")
        page.get_by_role("button", name="Open the case").click()
        expect(page.get_by_role("button", name="Settle")).to_be_visible()
        found += violations(page, "open case")
        page.goto("/radiology/")
        while not page.locator("tr", has_text="second read").count():
            page.locator("a[rel=next]").click()
            page.wait_for_url("**after=**")
        follow(page.locator("tr", has_text="second read").locator("a").first, "second read")
        page.goto("/radiology/?reading=mine")
        page.locator("tr", has_text="final").locator("a").first.click()
        follow(page.get_by_role("link", name="Your report"), "signed report")
    assert found == []


@pytest.mark.parametrize("role", ["analyst", "mladmin", "auditor"])
def test_nor_does_any_other_desks(demo: Running, open_as: Open, role: str) -> None:
    with open_as(role) as page:
        places = page.locator(".rail a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        found = []
        for place in places:
            page.goto(place)
            found += violations(page, place)
    assert found == []


def test_the_check_above_would_notice(demo: Running, open_as: Open) -> None:
    with open_as("radiologist") as page:
        page.goto("/radiology/")
        page.evaluate("document.querySelector('h1').style.color = '#1b2129'")
        page.evaluate("document.querySelector('main').append(document.createElement('button'))")
        found = " ".join(violations(page, "worklist"))
    assert "color-contrast" in found
    assert "button-name" in found
