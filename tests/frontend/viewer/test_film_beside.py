"""What stands beside a film, and comes and goes with it: a prior, attention, the next study."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.frontend.films import PRIOR, doors, png, viewer, wait
from tests.frontend.test_film_greys import made, written
from tests.frontend.viewer.conftest import WHOSE, OpenPage, corner, drag


def priors() -> list[dict]:
    film = {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"}
    return [{"address": PRIOR, "study": {"StudyDate": "20250110"}, "film": film}]


@pytest.fixture
def with_prior(look, tmp_path) -> Page:
    (tmp_path / "prior").mkdir()
    earlier = written(made(**{**WHOSE, "StudyDate": "20250110"}), tmp_path / "prior")
    page = look(doors(earlier, PRIOR), viewer(priors=priors()))
    page.keyboard.press("b")
    expect(page.locator(".film.prior[data-ready]")).to_be_visible()
    return page


def test_a_prior_beside_it_cannot_be_taken_for_it(with_prior: Page) -> None:
    expect(with_prior.locator(".film .banner")).to_have_text(["", "PRIOR 2025-01-10, 13 months earlier"])
    expect(corner(with_prior, "top-left", 1)).to_contain_text("Doe, Jane\nID 4711\nborn 1952-03-04")
    with_prior.keyboard.press("b")
    expect(with_prior.locator(".film")).to_have_count(1)


def test_the_prior_follows_until_it_is_let_go(with_prior: Page) -> None:
    def zoom(pane: int) -> str:
        return corner(with_prior, "bottom-right", pane).inner_text().split(", ")[-1]

    fitted = zoom(0)
    with_prior.keyboard.press("+")
    expect(corner(with_prior, "bottom-right")).not_to_contain_text(fitted)
    expect(corner(with_prior, "bottom-right", 1)).to_contain_text(zoom(0))
    with_prior.keyboard.press("y")
    together = zoom(0)
    with_prior.keyboard.press("+")
    expect(corner(with_prior, "bottom-right")).not_to_contain_text(together)
    assert zoom(1) == together


def test_the_priors_window_follows_by_its_own_values_until_it_is_let_go(with_prior: Page) -> None:
    def window(pane: int) -> str:
        return with_prior.locator(".film .readout").nth(pane).inner_text()

    given = "Window of the file\nW 4000 L 2000"
    expect(with_prior.locator(".film .readout")).to_have_text([given, given])
    with_prior.keyboard.press("i")
    expect(corner(with_prior, "bottom-left", 1)).to_contain_text("inverted")
    with_prior.get_by_label("Window of the film").select_option("Lungs")
    with_prior.keyboard.press("Escape")
    expect(corner(with_prior, "bottom-left", 1)).to_contain_text("Lungs")
    with_prior.keyboard.press("0")
    expect(with_prior.locator(".film .readout").nth(1)).to_have_text(given)
    drag(with_prior, 80, 0)
    expect(with_prior.locator(".film .readout").nth(1)).not_to_have_text(given)
    assert window(1) == window(0)
    with_prior.keyboard.press("q")
    together = window(1)
    drag(with_prior, 80, 0)
    expect(with_prior.locator(".film .readout").first).not_to_have_text(together)
    assert window(1) == together


def test_the_models_attention_is_off_until_asked_for_and_says_what_it_is(look) -> None:
    button = '<button data-attention="Effusion" data-of="one" data-src="/looked">Model attention</button>'
    overlay = png(np.full((8, 8), 200, np.uint8))
    page = look({"/looked": lambda route: (200, "image/png", overlay)}, viewer() + button)
    expect(page.locator("img.attention")).to_be_hidden()
    page.get_by_role("button", name="Model attention").click()
    expect(page.locator("img.attention")).to_be_visible()
    expect(page.locator(".attention-note")).to_contain_text(
        "Where the model looked (Grad-CAM), not where the finding is"
    )
    page.get_by_label("Opacity of the model's attention").fill("0.3")
    assert page.locator("img.attention").evaluate("picture => picture.style.opacity") == "0.3"
    page.get_by_role("button", name="Model attention").click()
    expect(page.locator("img.attention")).to_be_hidden()


def test_a_film_being_read_is_left_alone_when_its_study_changes(open_page: OpenPage, tmp_path) -> None:
    served = ["<p>waiting</p>"]

    def analysis() -> str:
        live = '<div id="analysis" hx-get="/analysis" hx-trigger="every 200ms" hx-swap="outerHTML">'
        return f"{live}{viewer()}{served[0]}</div>"

    path = written(made(**WHOSE), tmp_path)
    answers = {**doors(path), "/analysis": lambda route: (200, "text/html", analysis().encode())}
    page = open_page(analysis(), answers)
    wait(page)
    fitted = corner(page, "bottom-right").inner_text()
    page.keyboard.press("i")
    page.keyboard.press("+")
    expect(corner(page, "bottom-left")).to_contain_text("inverted")
    expect(corner(page, "bottom-right")).not_to_have_text(fitted)
    zoom = corner(page, "bottom-right").inner_text()
    served[0] = "<p>analysed</p>"
    expect(page.locator("#analysis > p")).to_have_text("analysed")
    expect(corner(page, "bottom-left")).to_contain_text("inverted")
    assert corner(page, "bottom-right").inner_text() == zoom
    page.keyboard.press("i")
    expect(corner(page, "bottom-left")).not_to_contain_text("inverted")


def test_the_next_studys_film_is_there_before_it_is_asked_for(look, tmp_path) -> None:
    (tmp_path / "next").mkdir()
    there = doors(written(made(**WHOSE), tmp_path / "next"), PRIOR)
    asked: list[str] = []

    def frames(route: Route) -> tuple[int, str, bytes]:
        asked.append(route.request.headers.get("x-lynceus-prefetch", ""))
        return there[f"{PRIOR}/frames/1"](route)

    following = f'<main id="content">{viewer(film_address=PRIOR, shown={"public_id": "two"})}</main>'
    swap = 'hx-get="/next" hx-target="#content" hx-select="#content" hx-swap="outerHTML"'
    link = f'<a data-key="n" href="/next" {swap}>n</a>'
    beside = {f"{PRIOR}/frames/1": frames, "/next": lambda route: (200, "text/html", following.encode())}
    body = f'<div id="content">{viewer(next_address=PRIOR)}{link}</div>'
    page = look({**there, **beside}, body)
    page.wait_for_function(
        "performance.getEntriesByType('resource').some(one => one.name.includes('/2.3/frames/1'))"
    )
    page.keyboard.press("n")
    expect(page.locator("#film-two[data-ready]")).to_be_visible()
    assert asked == ["1"]


def test_a_viewer_that_left_the_page_leaves_nothing_behind(look) -> None:
    page = look()
    page.evaluate("() => document.querySelector('.viewer').remove()")
    page.keyboard.press("i")
    page.keyboard.press("]")
    expect(page.locator("[data-key]")).to_have_count(0)


def test_nothing_of_the_patient_is_kept_or_said_elsewhere(look) -> None:
    page = look()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.keyboard.press("]")
    kept = page.evaluate(
        "() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    )
    asked = page.evaluate("() => performance.getEntriesByType('resource').map(one => one.name).join()")
    for secret in ("Doe", "Jane", "4711", "19520304"):
        assert secret not in kept + asked + " ".join(said)
