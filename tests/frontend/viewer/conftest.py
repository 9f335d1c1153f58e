"""A page with one film viewer on it, and how the tests handle it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.frontend.films import Doors, doors, viewer, wait
from tests.frontend.test_film_greys import made, written

OpenPage = Callable[..., Page]
WHOSE = {
    "PatientName": "Doe^Jane", "PatientID": "4711", "PatientBirthDate": "19520304", "PatientSex": "F",
    "StudyDate": "20260302", "StudyTime": "170500", "PatientOrientation": ["L", "F"], "WindowCenter": 2000,
    "WindowWidth": 4000,
}  # fmt: skip


@pytest.fixture
def look(open_page: OpenPage, tmp_path) -> Callable[..., Page]:
    """`look(PatientName="...")`: the viewer with this film up."""

    def opened(doors_beside: Doors | None = None, body: str = "", **attributes) -> Page:
        path = written(made(**{**WHOSE, **attributes}), tmp_path)
        page = open_page(body or viewer(), {**doors(path), **(doors_beside or {})})
        wait(page)
        return page

    return opened


def corner(page: Page, place: str, pane: int = 0):
    return page.locator(f".film .{place}").nth(pane)


def letters(page: Page) -> str:
    """Top, right, bottom, left."""
    return "".join(
        page.locator(f".film .edge.at-{edge}").inner_text() for edge in ("top", "right", "bottom", "left")
    )


def drag(page: Page, dx: int, dy: int, at: tuple[float, float] = (0.5, 0.5)) -> None:
    box = page.locator(".film .screen").first.bounding_box()
    assert box
    x, y = box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()
