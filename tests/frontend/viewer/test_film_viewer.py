"""The film viewer as a radiologist meets it: whose film, which side, how long, and what it is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.frontend.films import ADDRESS, apart, doors, screen, viewer, wait
from tests.frontend.test_film_greys import bent, made, table, written
from tests.frontend.viewer.conftest import WHOSE, OpenPage, corner, drag, letters


def test_it_works(look) -> None:
    page = look()
    expect(corner(page, "top-left")).to_have_text("Doe, Jane\nID 4711\nborn 1952-03-04, F")
    expect(corner(page, "top-right")).to_have_text("Study 2026-03-02 17:05\nDX CHEST PA")
    expect(corner(page, "bottom-left")).to_contain_text("Window of the file\nW 4000 L 2000")
    expect(page.locator(".film .message")).to_be_hidden()
    assert letters(page) == "HLFR"


def test_the_window_follows_the_pointer_and_the_keys_and_is_reset(look) -> None:
    page = look()
    before = screen(page)
    drag(page, 100, 0)
    expect(corner(page, "bottom-left")).to_contain_text(re.compile(r"W 4[3-9]\d\d L 2000"))
    drag(page, 0, -100)
    expect(corner(page, "bottom-left")).to_contain_text(re.compile(r"L 1[4-6]\d\d"))
    assert screen(page).mean() > before.mean()  # up is brighter
    page.keyboard.press("ArrowDown")
    page.keyboard.press("i")
    expect(corner(page, "bottom-left")).to_contain_text("inverted")
    page.keyboard.press("0")
    expect(corner(page, "bottom-left")).to_contain_text("W 4000 L 2000")
    expect(corner(page, "bottom-left")).not_to_contain_text("inverted")
    assert apart(screen(page), before) <= 1


def test_the_films_own_window_has_a_switch_and_a_list(look) -> None:
    page = look(
        WindowCenter=[1500, 2500], WindowWidth=[1000, 900], WindowCenterWidthExplanation=["SOFT", "HARD"]
    )
    looks = page.get_by_label("Window of the film")
    expect(looks.locator("option")).to_have_text(
        ["SOFT", "HARD", "Whole film", "Lungs", "Mediastinum and bone"]
    )
    expect(corner(page, "bottom-left")).to_contain_text("SOFT\nW 1000 L 1500")
    looks.select_option("HARD")
    expect(corner(page, "bottom-left")).to_contain_text("HARD\nW 900 L 2500")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="VOI LUT or window of the file, on or off").click()
    expect(corner(page, "bottom-left")).to_contain_text("SOFT")
    page.get_by_role("button", name="VOI LUT or window of the file, on or off").click()
    expect(corner(page, "bottom-left")).to_contain_text("Whole film")


def test_turned_and_flipped_it_says_so_and_the_letters_follow(look) -> None:
    page = look()
    page.keyboard.press("h")
    expect(page.locator(".film .mark")).to_have_text(["FLIPPED left to right on this screen only"])
    assert letters(page) == "HRFL"
    page.keyboard.press("h")
    page.keyboard.press("]")
    expect(page.locator(".film .mark")).to_have_text(["TURNED 90° on this screen only"])
    assert letters(page) == "RHLF"
    page.keyboard.press("v")
    for key in ("f", "+", "1", "f"):  # no view but a reset undoes it
        page.keyboard.press(key)
        expect(page.locator(".film .mark")).to_have_text(["FLIPPED and TURNED on this screen only"])
    page.keyboard.press("0")
    expect(page.locator(".film .mark")).to_have_count(0)
    assert letters(page) == "HLFR"
    page.keyboard.press("h")
    page.keyboard.press("v")
    expect(page.locator(".film .mark")).to_have_text(["TURNED 180° on this screen only"])
    assert letters(page) == "FRHL"


def test_another_curve_keeps_the_pose_and_the_measurements(look) -> None:
    page = look(VOILUTSequence=[table(bent())], WindowCenterWidthExplanation="LINEAR")
    page.keyboard.press("h")
    page.keyboard.press("l")
    drag(page, 100, 50)
    expect(page.locator(".film svg text")).to_have_count(1)
    flipped = screen(page)
    page.keyboard.press("u")
    expect(corner(page, "bottom-left")).to_contain_text("Whole film")
    expect(page.locator(".film .mark")).to_have_text(["FLIPPED left to right on this screen only"])
    expect(page.locator(".film svg text")).to_have_count(1)
    page.keyboard.press("u")
    expect(corner(page, "bottom-left")).to_contain_text("VOI LUT")
    assert apart(screen(page), flipped) <= 1


def test_a_film_that_names_no_side_shows_none_and_says_so(look) -> None:
    page = look(PatientOrientation=[])
    expect(page.locator(".film .mark")).to_have_text(["Orientation not stated in the file"])
    assert letters(page) == ""


def test_loss_and_synthesis_stand_on_the_film(look) -> None:
    page = look(LossyImageCompression="01", LossyImageCompressionRatio=12, Manufacturer="Lynceus synthetic")
    expect(corner(page, "bottom-right")).to_contain_text("Lossy compression 12:1")
    expect(page.locator(".film .mark")).to_have_text(["SYNTHETIC"])


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({}, r"\d+ px uncalibrated"),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, r"\d+\.\d mm at detector"),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, r"\d+\.\d mm at detector"),
        ({"PixelSpacing": [0.2, 0.2]}, r"\d+\.\d mm calibration not stated"),
        (
            {"PixelSpacing": [0.18, 0.18], "PixelSpacingCalibrationType": "FIDUCIAL"},
            r"\d+\.\d mm calibrated \(fiducial\)",
        ),
    ],
)  # fmt: skip
def test_a_length_says_what_it_is_worth(look, header: dict, says: str) -> None:
    page = look(**header)
    page.keyboard.press("l")
    drag(page, 120, 60)
    expect(page.locator(".film svg text").first).to_have_text(re.compile(says))
    page.keyboard.press("d")
    expect(page.locator(".film svg text")).to_have_count(0)


def test_the_selected_measurement_is_deleted_before_all_are(look) -> None:
    page = look()
    page.keyboard.press("l")
    for at in (0.3, 0.5, 0.7):
        drag(page, 120, 0, (0.4, at))
    texts = page.locator(".film svg text").filter(has_text="px")
    expect(texts).to_have_count(3)
    page.keyboard.press("d")
    expect(texts).to_have_count(2)
    page.keyboard.press("d")
    expect(texts).to_have_count(0)


def test_an_angle_is_measured_in_degrees(look) -> None:
    page = look(ImagerPixelSpacing=[0.2, 0.2])
    page.keyboard.press("a")
    drag(page, 0, -100)
    box = page.locator(".film .screen").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2 + 100, box["y"] + box["height"] / 2 - 100)
    expect(page.locator(".film svg text")).to_have_text(re.compile(r"^90(\.0+)?.*°"))


def test_it_is_dragged_and_magnified(look) -> None:
    page = look()
    page.keyboard.press("p")
    before = screen(page)
    drag(page, 60, 40)
    assert apart(screen(page), before) > 20
    page.keyboard.press("f")
    page.keyboard.press("m")
    box = page.locator(".film .screen").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 9, box["y"] + box["height"] / 2, steps=3)
    expect(page.locator(".film .magnifyTool")).to_be_visible()
    page.mouse.up()
    expect(page.locator(".film .magnifyTool")).to_have_count(0)


def test_it_fills_the_screen_and_leaves_it(look) -> None:
    page = look()
    page.keyboard.press("x")
    page.wait_for_function("() => document.fullscreenElement?.matches('.viewer')")
    page.keyboard.press("x")
    page.wait_for_function("() => document.fullscreenElement === null")


def test_letters_in_the_image_are_told_of_and_mirrored_when_it_is_flipped(look) -> None:
    page = look(BurnedInAnnotation="YES")
    expect(page.locator(".film .mark.burned")).to_have_text("Letters burned into the image")
    page.keyboard.press("h")
    expect(page.locator(".film .mark.burned")).to_have_text("Letters in the image are mirrored")
    page.keyboard.press("h")
    page.keyboard.press("]")
    expect(page.locator(".film .mark.burned")).to_have_text("Letters burned into the image")


def test_a_length_in_mm_is_right(look) -> None:
    page = look(ImagerPixelSpacing=[0.2, 0.2])
    scale = float(re.findall(r"([\d.]+) x$", corner(page, "bottom-right").inner_text())[0])
    page.keyboard.press("l")
    drag(page, 150, 0)
    drawn = page.locator(".film svg text").first
    expect(drawn).to_have_text(re.compile(f"^{int(150 / scale * 0.2)}[.]"))
    assert float((drawn.text_content() or "").split(" mm")[0]) == pytest.approx(150 / scale * 0.2, rel=0.02)


@pytest.mark.parametrize("webgl", [True, False])
def test_the_value_under_the_pointer_is_the_stored_one(open_page: OpenPage, tmp_path, webgl: bool) -> None:
    values = np.arange(240 * 240, dtype=np.uint32).reshape(240, 240).astype(np.uint16)
    path = written(made(values=values, BitsStored=16, HighBit=15), tmp_path)
    page = open_page(viewer(), doors(path), webgl=webgl)
    wait(page)
    box = page.locator(".film .screen").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 - 30)
    x, y, value = map(int, re.findall(r"\d+", page.locator(".film .probed").inner_text()))
    assert value == values[y, x]
    scale = float(re.findall(r"([\d.]+) x$", corner(page, "bottom-right").inner_text())[0])
    assert (x, y) == (int(120 + 40 / scale), int(120 - 30 / scale))


def test_until_the_film_is_there_a_thumbnail_says_that_it_is_not_for_reading(open_page, tmp_path) -> None:
    path = written(made(**WHOSE), tmp_path)
    page = open_page(viewer(), {**doors(path), f"{ADDRESS}/frames/1": None})
    expect(corner(page, "top-left")).to_contain_text("Doe, Jane")
    expect(page.locator(".film .message")).to_have_text("Loading, not for reading")
    expect(page.locator(".film .thumbnail")).to_be_visible()
    assert page.locator(".film .thumbnail").evaluate("picture => picture.naturalWidth") > 0


def test_a_film_that_cannot_be_fetched_says_why_and_can_be_tried_again(open_page, tmp_path) -> None:
    path = written(made(**WHOSE), tmp_path)
    there = doors(path)
    trouble = json.dumps({"detail": "The film is known, but its file cannot be read now."}).encode()
    broken = [True]

    def frames(route: Route) -> tuple[int, str, bytes]:
        if broken[0]:
            return 503, "application/problem+json", trouble
        return there[f"{ADDRESS}/frames/1"](route)

    page = open_page(viewer(), {**there, f"{ADDRESS}/frames/1": frames})
    expect(page.locator(".film .message")).to_contain_text("its file cannot be read now")
    expect(page.locator(".film .thumbnail")).to_be_hidden()
    broken[0] = False
    page.get_by_role("button", name="Try again").click()
    wait(page)
    expect(page.locator(".film .message")).to_be_hidden()


def test_each_tool_is_in_the_key_sheet(look) -> None:
    page = look()
    page.keyboard.press("?")
    sheet = page.locator("dialog.sheet")
    for tool in ("Invert", "Magnifier", "Measure a length", "Measure an angle", "Turn right", "Full screen"):
        expect(sheet).to_contain_text(tool)


def touch(page: Page, *moves: list[tuple[float, float]]) -> None:
    """Fingers put down at the first places, moved on over the others, and lifted."""
    browser = page.context.new_cdp_session(page)
    for n, fingers in enumerate(moves):
        points = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(fingers)]
        kind = "touchMove" if n else "touchStart"
        browser.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    browser.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_one_finger_has_the_chosen_tool_and_two_zoom(look) -> None:
    page = look()
    box = page.locator(".film .screen").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch(page, *([(x + step, y)] for step in range(0, 101, 20)))
    expect(corner(page, "bottom-left")).to_contain_text(re.compile(r"W 4[1-9]\d\d L 2000"))
    zoom = corner(page, "bottom-right").inner_text()
    touch(page, *([(x - step, y), (x + step, y)] for step in range(40, 141, 20)))
    expect(corner(page, "bottom-right")).not_to_have_text(zoom)


def parts_of(name: str) -> list[str]:
    """A template's text, and that of all it extends and includes."""
    text = (Path(__file__).resolve().parents[3] / "templates" / name).read_text()
    named = re.findall(r'{% (?:include|extends) "([^"]+)"', text)
    return [text, *(part for one in named for part in parts_of(one))]


def test_no_tool_has_a_key_of_the_page_round_it(look) -> None:
    """The reading panel commits, begins and signs by key: the first element with a key would take it."""
    page = look()
    taken = {key for text in parts_of("radiology/study.html") for key in re.findall(r'data-key="(.)"', text)}
    tools = page.locator(".viewer [data-key]").evaluate_all("all => all.map(one => one.dataset.key)")
    assert len(tools) == len(set(tools)) > 20
    assert "c" in taken
    assert not set(tools) & {*taken, "j", "k", "g", "t", "/", "?"}
