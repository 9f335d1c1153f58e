"""The condition's box offers fields and says where it is wrong; thresholds are dragged, by hand or by key."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Route, expect

from tests.frontend.test_in_browser import OpenPage

FIELDS = [
    {
        "name": "hour",
        "kind": "a number",
        "words": "hour of the business day, 0 to 23",
        "of": "of the payment",
    },
    {
        "name": "amount_minor",
        "kind": "a number",
        "words": "amount in minor units of EUR",
        "of": "of the payment",
    },
    {"name": "original_amount_minor", "kind": "a number", "words": "amount as sent", "of": "of the payment"},
    {"name": "night", "kind": "a number", "words": "1 from midnight to six", "of": "seen by the model"},
]
EDITOR = (
    '<form data-conditions="rule-fields" data-check="/check">'
    f'<script id="rule-fields" type="application/json">{json.dumps(FIELDS)}</script>'
    '<section class="panel"><div class="field"><label for="w">When</label>'
    '<textarea id="w" data-condition rows="2"></textarea></div></section></form>'
)
FAULT = {"ok": False, "message": "There is no field 'amout'.", "at": 9, "near": "amout"}


def test_fields_are_offered_and_taken_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(EDITOR, {"/check": lambda _: (200, "application/json", b'{"ok": true}')})
    box, options = page.locator("#w"), page.get_by_role("option")
    box.press_sequentially("am")
    expect(options).to_have_count(2)
    expect(options.first).to_have_text(re.compile("^amount_minor.*minor units of EUR, a number"))
    expect(box).to_have_attribute("aria-activedescendant", re.compile("completions-"))
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("original_amount_minor")
    box.press_sequentially(" > 3 and midnigh")
    expect(options).to_have_count(1)  # found by what it means
    box.press("Tab")
    expect(box).to_have_value("original_amount_minor > 3 and night")
    box.press_sequentially(' == 1 and "hou')
    expect(page.get_by_role("listbox")).to_be_hidden()  # within quotes nothing is meant
    box.fill("")
    box.press("Control+Space")
    expect(options).to_have_count(4)
    box.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_a_fault_is_said_at_its_place_while_one_types(open_page: OpenPage) -> None:
    asked: list[str] = []

    def check(route: Route) -> tuple[int, str, bytes]:
        asked.append(f"{route.request.headers.get('x-csrftoken')} {route.request.post_data}")
        wrong = "amout" in (route.request.post_data or "")
        return 200, "application/json", json.dumps(FAULT if wrong else {"ok": True}).encode()

    page = open_page(EDITOR, {"/check": check})
    box, says = page.locator("#w"), page.locator(".note.condition")
    box.fill("hour > 3 amout")
    expect(says).to_have_text("Character 10: There is no field 'amout'. hour > 3 amout")
    says.get_by_role("button").click()
    assert box.evaluate("box => [box.selectionStart, box.selectionEnd]") == [9, 14]
    box.fill("hour > 3")
    expect(says).to_have_text("This can be asked.")
    assert asked[-1] == "tok when=hour+%3E+3"
    box.fill("")
    expect(says).to_be_hidden()


CHARTS = (
    '<input id="id_review" type="number" value="0.1"><select id="id_method"><option value="trained"></option>'
    '<option value="by_hand"></option></select>'
    '<figure class="chart" data-chart data-src="/curve"><figcaption>Rates</figcaption></figure>'
    '<figure class="chart" data-chart data-src="/curve"><figcaption>Alerts</figcaption></figure>'
)
CURVE = {
    "x": {"name": "review from score", "log": True, "max": 1}, "y": {"name": "share", "min": 0, "max": 1},
    "series": [{"name": "precision, held out", "points": [[0.01, 0.2], [0.1, 0.5], [0.9, 0.9]]}],
    "lines": [{"name": "review", "axis": "x", "value": 0.1, "input": "id_review",
               "choose": ["id_method", "by_hand"]}], "done": True,
}  # fmt: skip


def test_a_threshold_is_dragged_and_moved_by_key_on_all_charts(open_page: OpenPage) -> None:
    answer = json.dumps(CURVE).encode()
    page = open_page(CHARTS, {"/curve": lambda _: (200, "application/json", answer)})
    lines, chosen = page.get_by_role("slider", name="review threshold"), page.locator("#id_review")
    expect(lines).to_have_count(2)
    lines.first.press("ArrowRight")
    expect(chosen).to_have_value("0.105")
    expect(page.locator("#id_method")).to_have_value("by_hand")
    for line in lines.all():
        expect(line).to_have_attribute("aria-valuenow", "0.105")
    lines.first.press("End")
    expect(chosen).to_have_value("1")
    box = lines.first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 300, y, steps=4)
    page.mouse.up()
    dragged = float(chosen.input_value())
    assert 0.01 <= dragged < 0.9
    other = lines.nth(1).bounding_box()
    moved = lines.first.bounding_box()
    assert other is not None and moved is not None
    assert abs(other["x"] - moved["x"]) < 2
    assert abs(moved["x"] + moved["width"] / 2 - (x - 300)) < 4


def test_what_is_not_final_is_hatched(open_page: OpenPage) -> None:
    """The ground under it is striped: neighbouring pixels differ there and nowhere else."""
    weeks = {
        "x": {"name": "week", "max": 1767484800000}, "y": {"name": "share", "min": 0, "max": 1},
        "series": [
            {"name": "recall", "points": [["2025-12-01T00:00:00Z", 0.5], ["2025-12-15T00:00:00Z", 0.5]]},
            {"name": "recall, not final", "light": True,
             "points": [["2025-12-22T00:00:00Z", 0.4], ["2025-12-28T00:00:00Z", 0.3]]},
        ],
        "shade": {"from": "2025-12-22T00:00:00Z", "to": "2026-01-04T00:00:00Z", "name": "not final"},
        "done": True,
    }  # fmt: skip
    body = '<figure class="chart" data-chart data-src="/weeks"><figcaption>Weeks</figcaption></figure>'
    answer = json.dumps(weeks).encode()
    page = open_page(body, {"/weeks": lambda _: (200, "application/json", answer)})
    expect(page.locator(".chart canvas")).to_be_visible()
    stripes = """canvas => {
      const pen = canvas.getContext("2d"), { width, height } = canvas, y = Math.round(height * 0.3);
      const tones = x => new Set([...pen.getImageData(x, y, 24, 24).data].filter((_, i) => i % 4 === 3)).size;
      return [tones(Math.round(width * 0.2)), tones(Math.round(width * 0.8))];
    }"""
    plain, striped = page.locator(".chart canvas").evaluate(stripes)
    assert striped > plain
    page.keyboard.press("t")
    expect(page.locator(".chart table")).to_contain_text("recall, not final")
