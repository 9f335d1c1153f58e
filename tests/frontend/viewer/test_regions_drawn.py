"""Boxes and contours on the film, each for a finding of the read panel."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Page, Route, expect

from apps.core.clock import now
from apps.radiology.models import Side, Verdict
from apps.radiology.studies.reads import Line, Said
from tests.frontend.films import viewer
from tests.frontend.viewer.conftest import drag
from tests.frontend.viewer.test_film_viewer import touch

STUDY = UUID(int=1)
KEEP = f"/radiology/studies/{STUDY}/read/keep/"
BOX = {"label": "Effusion", "instance": "one", "frame": 1, "shape": "box", "points": [[60, 150], [90.5, 200]]}


def panel(*regions: dict[str, Any], name: str = "read_form") -> str:
    """The product's own markup, beside its own viewer."""
    verdict = "" if name == "read_form" else "present"
    given = {
        "study": SimpleNamespace(public_id=STUDY), "read": SimpleNamespace(text="", signed_at=now()),
        "lines": [Line(label, Said(verdict), Said()) for label in ("Effusion", "Nodule")],
        "regions": json.dumps(regions), "verdicts": Verdict.choices, "sides": Side.choices,
    }  # fmt: skip
    return viewer() + f'<section class="read">{render_to_string(f"radiology/{name}.html", given)}</section>'


@pytest.fixture
def kept() -> list[dict[str, Any]]:
    """Each form that was kept, the last of it last."""
    return []


@pytest.fixture
def draw(look, kept):
    """`draw(*regions)`: a draft with these regions, opened."""

    def keep(route: Route) -> tuple[int, str, bytes]:
        form = {name: values[0] for name, values in parse_qs(route.request.post_data or "").items()}
        kept.append({**form, "regions": json.loads(form["regions"])})
        return 200, "text/html", f'<span id="read-kept" role="status">kept {len(kept)}</span>'.encode()

    def opened(*regions: dict[str, Any], name: str = "read_form") -> Page:
        return look({KEEP: keep}, panel(*regions, name=name))

    return opened


def corners(page: Page) -> list[tuple[float, float]]:
    """Of the one outline, on the screen."""
    return page.locator(".outlines polygon").evaluate(
        """shape => Array.from(shape.points, point => {
          const at = point.matrixTransform(shape.getScreenCTM()); return [at.x, at.y];
        })"""
    )


def pixels(page: Page) -> set[tuple[int, int]]:
    """The film's pixels under the outline's corners, as the viewer itself names them."""
    found = set()
    for x, y in corners(page):
        page.mouse.move(x, y)
        numbers = re.findall(r"\d+", page.locator(".film .probed").inner_text())
        found.add((int(numbers[0]), int(numbers[1])))
    return found


def near(one: set[tuple[int, int]], points: list[list[float]]) -> bool:
    (left, top), (right, bottom) = points
    wanted = [(x, y) for x in (left, right) for y in (top, bottom)]
    return len(one) == 4 and all(any(abs(x - u) <= 1 and abs(y - v) <= 1 for u, v in wanted) for x, y in one)


def test_a_box_is_drawn_for_the_chosen_finding_and_stays_on_its_pixels(draw, kept) -> None:
    page = draw()
    page.keyboard.press("e")
    expect(page.locator(".draw-note")).to_have_text("Choose a finding on the read panel first.")
    page.get_by_role("rowheader", name="Pleural effusion").click()
    page.keyboard.press("e")
    note = "pleural effusion: drag a box, or place one with the arrow keys. Esc stops."
    expect(page.locator(".draw-note")).to_have_text(note)
    drag(page, -80, 60)  # from the middle of the film to the left and down
    expect(page.locator("#read-kept")).to_have_text("kept 1")
    [region] = kept[0]["regions"]
    assert {**region, "points": []} == {**BOX, "points": []}
    assert kept[0]["verdict-0"] == "present"
    (left, top), (right, bottom) = region["points"]
    assert (right, top) == (pytest.approx(120, abs=0.6), pytest.approx(120, abs=0.6))
    assert (right - left) / (bottom - top) == pytest.approx(80 / 60, rel=0.03)
    for keys in ("", "+", "]", "h", "]v", "0"):
        for key in keys:
            page.keyboard.press(key)
        assert near(pixels(page), region["points"]), keys
    assert page.locator(".film svg text").filter(has_text="px").count() == 0  # no measurement came of it


def test_a_draft_opened_again_has_its_regions_and_each_can_be_taken_away(draw, kept) -> None:
    other_film = {**BOX, "instance": "two", "label": "Nodule"}
    page = draw(BOX, other_film)
    expect(page.locator(".outlines polygon")).to_have_count(1)
    expect(page.locator(".outlines text")).to_have_text("pleural effusion")
    assert near(pixels(page), BOX["points"])
    expect(page.locator("[data-finding=Nodule] .drawn")).to_contain_text("box 1, another film")
    page.get_by_role("button", name="box 1", exact=True).press("Enter")
    expect(page.locator(".outlines polygon.selected")).to_have_count(1)
    page.keyboard.press("d")
    expect(page.locator(".outlines polygon")).to_have_count(0)
    page.get_by_role("button", name="Take away box 1 of nodule").click()
    expect(page.locator("#read-kept")).to_have_text("kept 2")
    assert [form["regions"] for form in kept] == [[other_film], []]


def test_a_contour_is_drawn_too_and_escape_stops(draw, kept) -> None:
    page = draw()
    page.get_by_role("radio", name="nodule: unsure").check()
    page.keyboard.press("E")
    page.keyboard.press("Escape")
    expect(page.locator(".draw-note")).to_be_hidden()
    drag(page, 60, 0)  # the window's, not a contour
    expect(page.locator(".outlines polygon")).to_have_count(0)
    page.keyboard.press("E")
    box = page.locator(".film .screen").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for dx, dy in ((60, 10), (70, 70), (10, 60)):
        page.mouse.move(x + dx, y + dy, steps=8)
    page.mouse.up()
    expect(page.locator(".outlines polygon")).to_have_count(1)
    expect(page.locator("#read-kept")).to_have_text("kept 2")
    [region] = kept[-1]["regions"]
    assert (region["label"], region["shape"], kept[-1]["verdict-1"]) == ("Nodule", "contour", "unsure")
    assert 12 < len(region["points"]) <= 200


def test_touched_by_mistake_nothing_is_drawn(draw, kept) -> None:
    page = draw()
    page.get_by_role("button", name="Draw a box for pleural effusion on the film").click()
    drag(page, 1, 1)
    drag(page, 50, 50)
    expect(page.locator("#read-kept")).to_have_text("kept 1")
    assert len(kept[0]["regions"]) == 1


def test_signed_it_is_shown_and_no_more_drawn(draw) -> None:
    page = draw(BOX, name="read_signed")
    expect(page.locator(".outlines polygon")).to_have_count(1)
    expect(page.get_by_role("button", name="Box round the chosen finding")).to_be_hidden()
    expect(page.get_by_role("button", name=re.compile("Take away|Draw"))).to_have_count(0)
    page.locator(".outlines text").click()
    expect(page.locator(".outlines polygon.selected")).to_have_count(1)
    page.keyboard.press("d")
    expect(page.locator(".outlines polygon")).to_have_count(1)


def test_on_a_phone_the_film_comes_into_view_and_a_finger_draws(draw, kept) -> None:
    page = draw()
    page.set_viewport_size({"width": 390, "height": 700})
    page.get_by_role("button", name="Draw a box for nodule on the film").click()
    box = page.locator(".film .screen").bounding_box()
    assert box
    assert -1 <= box["y"] < box["y"] + box["height"] <= 701
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch(page, *([(x + step, y + step)] for step in range(0, 61, 20)))
    expect(page.locator("#read-kept")).to_have_text("kept 1")
    [region] = kept[0]["regions"]
    assert (region["label"], region["shape"]) == ("Nodule", "box")
    assert near(pixels(page), region["points"])


def place(page: Page) -> list[tuple[float, float]]:
    """Upper left and lower right corner of the one outline on the screen."""
    seen = corners(page)
    return [tuple(pick(axis) for axis in zip(*seen, strict=True)) for pick in (min, max)]


def test_keys_alone_place_a_box_move_it_and_resize_it(draw, kept) -> None:
    page = draw()
    page.get_by_role("radio", name="nodule: present").focus()
    page.keyboard.press("e")
    page.keyboard.press("ArrowRight")
    (left, top), (right, bottom) = place(page)
    screen = page.locator(".film .screen").bounding_box()
    assert screen
    assert (left + right) / 2 == pytest.approx(screen["x"] + screen["width"] / 2, abs=1)
    for keys in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(keys)
    moved = [(left + 16, top - 8), (right + 8, bottom)]
    assert place(page) == [pytest.approx(corner, abs=1) for corner in moved]
    expect(page.locator(".draw-note")).to_contain_text("Enter keeps it")
    assert kept == []
    page.keyboard.press("Enter")
    expect(page.locator("#read-kept")).to_have_text("kept 1")
    [region] = kept[0]["regions"]
    assert (region["label"], region["shape"], kept[0]["verdict-1"]) == ("Nodule", "box", "present")
    assert near(pixels(page), region["points"])
    expect(page.get_by_role("button", name="box 1", exact=True)).to_be_focused()


def test_a_selected_box_is_changed_by_keys_as_it_is_seen_and_escape_leaves_it(draw, kept) -> None:
    page = draw(BOX)
    page.keyboard.press("B")
    expect(page.locator(".draw-note")).to_have_text("Select a box of this film on the read panel first.")
    page.get_by_role("button", name="box 1", exact=True).press("Enter")
    page.keyboard.press("h")
    before = place(page)
    page.keyboard.press("B")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="box 1", exact=True)).to_be_focused()
    assert place(page) == before
    assert kept == []
    page.keyboard.press("B")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#read-kept")).to_have_text("kept 1")
    assert place(page) == [pytest.approx((x + 8, y), abs=1) for x, y in before]
    [region] = kept[0]["regions"]
    assert region["points"][0][0] < BOX["points"][0][0]  # on the flipped film the right is the left
    expect(page.locator(".outlines polygon")).to_have_count(1)


def test_no_key_takes_a_box_off_its_film(draw, kept) -> None:
    page = draw(BOX)
    page.get_by_role("button", name="box 1", exact=True).press("Enter")
    page.keyboard.press("B")
    for _ in range(80):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#read-kept")).to_have_text("kept 1")
    [region] = kept[0]["regions"]
    assert region["points"] == [[0, 150], [pytest.approx(30.5, abs=0.2), pytest.approx(200, abs=0.2)]]


def test_the_sheet_tells_of_the_keys(draw) -> None:
    page = draw()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    for words in ("Move or resize the selected box by keys", "Keep the box being drawn", "drawn: move it"):
        expect(sheet).to_contain_text(words)


@pytest.mark.parametrize("waits", [True, False])
def test_a_commit_waits_for_the_draft_on_its_way_or_would_be_overtaken(draw, waits) -> None:
    page, keeping, committed = draw(), [], []
    page.route("**/read/keep/", lambda route: keeping.append(route))
    page.route("**/read/commit/", lambda route: (committed.append(route), route.fulfill(status=204)))
    if not waits:
        page.evaluate("addEventListener('submit', event => event.stopPropagation(), true)")
    with page.expect_request("**/read/keep/"):
        page.get_by_role("radio", name="nodule: present").check()
    if waits:
        page.get_by_role("button", name="Commit read").click()
        page.wait_for_function("document.querySelector('form.htmx-request')")
        assert committed == []
        with page.expect_request("**/read/commit/"):
            keeping[0].fulfill(status=200, content_type="text/html", body="<span id='read-kept'></span>")
    else:
        with page.expect_request("**/read/commit/"):
            page.get_by_role("button", name="Commit read").click()
    assert len(keeping) == 1
