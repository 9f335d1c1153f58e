"""What the TypeScript does, in Chromium, under the product's own Content-Security-Policy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

OpenPage = Callable[..., Page]


def test_a_letter_after_g_goes_to_its_place_but_not_while_typing(open_page: OpenPage) -> None:
    page = open_page('<a href="/work" data-shortcut="g w">Worklist</a><input type="search">')
    page.keyboard.press("/")
    page.keyboard.type("gw")
    expect(page.locator("input")).to_have_value("gw")
    page.keyboard.press("Escape")
    page.keyboard.type("gw")
    page.wait_for_url("**/work")


def test_what_is_read_out_is_touched_only_when_it_changes(open_page: OpenPage) -> None:
    served = ["one"]

    def answer(route: Route) -> tuple[int, str, bytes]:
        asked.append(1)
        live = '<div id="live" hx-get="/live" hx-trigger="every 200ms" hx-swap="outerHTML">'
        said = f'<p id="said" role="status" hx-swap-oob="innerHTML">{served[0]}</p>'
        return 200, "text/html", f"{live}{len(asked)}</div>{said}".encode()

    asked: list[int] = []
    live = '<div id="live" hx-get="/live" hx-trigger="every 200ms" hx-swap="outerHTML">0</div>'
    page = open_page(live + '<p id="said" role="status">one</p>', {"/live": answer})
    page.evaluate(
        "window.touched = 0; new MutationObserver(() => { window.touched += 1; })"
        ".observe(document.querySelector('#said'), {childList: true})"
    )
    expect(page.locator("#live")).to_have_text(re.compile("[3-9]"))
    assert page.evaluate("window.touched") == 0
    served[0] = "two"
    expect(page.locator("#said")).to_have_text("two")


def test_each_file_is_posted_alone_and_shows_its_own_state(open_page: OpenPage) -> None:
    tokens: list[str] = []

    def receive(route: Route) -> tuple[int, str, bytes]:
        tokens.append(route.request.headers["x-csrftoken"])
        name = re.findall(r'filename="([^"]+)"', (route.request.post_data_buffer or b"").decode())[0]
        if name.endswith(".txt"):
            return 422, "application/problem+json", json.dumps({"detail": "Not a DICOM file."}).encode()
        body = {"files": [{"name": name, "state": "queued", "url": "/studies/1"}]}
        return 202, "application/json", json.dumps(body).encode()

    form = (
        '<form class="dropzone" data-dropzone data-url="/send" method="post">'
        '<label for="f">Films</label><input id="f" type="file" name="files" multiple></form>'
    )
    page = open_page(form, {"/send": receive})
    files = [{"name": name, "mimeType": "", "buffer": b"x"} for name in ("a.dcm", "b.txt")]
    page.set_input_files("#f", files)
    expect(page.locator(".files .chip")).to_have_text(["queued", "refused"])
    expect(page.locator(".files .says").nth(1)).to_have_text("Not a DICOM file.")
    expect(page.locator(".dropzone .sum")).to_have_text("2 of 2 sent")
    assert tokens == ["tok", "tok"]


def test_many_sent_films_are_followed_a_few_at_a_time_and_through_errors(open_page: OpenPage) -> None:
    asked: list[str] = []

    def state(route: Route) -> tuple[int, str, bytes]:
        asked.append(route.request.url)
        if len(asked) <= 8:
            return 502, "text/html", b""
        return (
            200,
            "application/json",
            json.dumps({"state": "analysed", "tone": "neutral", "done": True}).encode(),
        )

    films = [{"name": f"{n}.dcm", "state": "queued", "status_url": f"/state?{n}"} for n in range(12)]
    sent = json.dumps({"files": films}).encode()
    form = (
        '<form class="dropzone" data-dropzone data-url="/send" method="post">'
        '<label for="f">Films</label><input id="f" type="file" name="files" multiple></form>'
    )
    answers = {"/send": lambda route: (202, "application/json", sent), "/state": state}
    page = open_page(form, answers)
    page.set_input_files("#f", [{"name": "a.zip", "mimeType": "", "buffer": b"x"}])
    expect(page.locator(".files .chip")).to_have_text(["analysed"] * 12, timeout=20_000)
    assert len(asked) == 8 + 12
    assert len(set(asked[:8])) == 8  # the first look asks for eight and no more


def test_a_chart_shows_its_numbers_as_a_table(open_page: OpenPage) -> None:
    data = {"x": {"name": "epoch"}, "y": {"name": "loss", "unit": "nats"}, "done": True}
    data["series"] = [{"name": "train", "points": [[1, 0.5], [2, 0.25]], "band": [[2, 0.2, 0.3]]}]
    body = '<figure class="chart" data-chart data-src="/curve"><figcaption>Loss</figcaption></figure>'
    page = open_page(body, {"/curve": lambda route: (200, "application/json", json.dumps(data).encode())})
    expect(page.locator(".chart canvas")).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator(".chart tbody tr")).to_have_text(["10.5", "20.25 (0.2 to 0.3)"])


def test_a_point_of_a_chart_opens_what_is_behind_it(open_page: OpenPage) -> None:
    """By a click near it, and by its link in the table."""
    data = {"x": {"name": "day"}, "y": {"name": "declined", "min": 0}, "done": True}
    data["series"] = [{"name": "a", "points": [[1, 0.5], [2, 0.25]], "links": ["/first", "/second"]}]
    body = '<figure class="chart" data-chart data-src="/curve"><figcaption>Declined</figcaption></figure>'
    served = {"/curve": lambda route: (200, "application/json", json.dumps(data).encode())}
    page = open_page(body, served)
    plot = page.locator(".chart canvas")
    expect(plot).to_be_visible()
    page.keyboard.press("t")
    expect(page.get_by_role("link", name="0.25")).to_have_attribute("href", "/second")
    page.keyboard.press("t")
    box = plot.bounding_box()
    assert box
    plot.click(position={"x": box["width"] / 2, "y": box["height"] - 60})  # near no point
    assert page.url.endswith("/")
    plot.click(position={"x": box["width"] - 84, "y": 30 + (box["height"] - 90) / 2})
    page.wait_for_url("**/second")


def test_a_dangerous_button_asks_first(open_page: OpenPage) -> None:
    page = open_page(
        '<form action="/cancelled"><button data-confirm="Cancel this job?">Cancel job</button></form>'
    )
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator("dialog[open] h2")).to_have_text("Cancel this job?")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.get_by_role("button", name="Cancel job").click()
    page.locator("dialog button:not(.quiet)").click()
    page.wait_for_url("**/cancelled**")


def test_a_dropped_folder_gives_up_its_files(open_page: OpenPage, tmp_path) -> None:
    (tmp_path / "study" / "series").mkdir(parents=True)
    for name in ("study/a.dcm", "study/series/b.dcm"):
        (tmp_path / name).write_bytes(b"x")

    def receive(route: Route) -> tuple[int, str, bytes]:
        name = re.findall(r'filename="([^"]+)"', (route.request.post_data_buffer or b"").decode())[0]
        return 202, "application/json", json.dumps({"files": [{"name": name, "state": "queued"}]}).encode()

    form = (
        '<form class="dropzone" data-dropzone data-url="/send" method="post">'
        '<label for="f">Films</label><input id="f" type="file" name="files" multiple></form>'
    )
    page = open_page(form, {"/send": receive})
    expect(page.locator("form[data-mounted]")).to_be_visible()
    box = page.locator("form").bounding_box()
    assert box
    browser = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(tmp_path / "study")], "dragOperationsMask": 1}
        at = {"x": box["x"] + 20, "y": box["y"] + 10}
        browser.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})
    expect(page.locator(".files .name")).to_have_text(["a.dcm", "b.dcm"])
    expect(page.locator(".dropzone .sum")).to_have_text("2 of 2 sent")


def test_a_chosen_folder_gives_up_its_files_too(open_page: OpenPage, tmp_path) -> None:
    (tmp_path / "study" / "series").mkdir(parents=True)
    for name in ("study/a.dcm", "study/series/b.dcm"):
        (tmp_path / name).write_bytes(b"x")
    answer = json.dumps({"files": [{"name": "", "state": "queued"}]}).encode()
    form = (
        '<form class="dropzone" data-dropzone data-url="/send" method="post">'
        '<input id="f" type="file" name="files">'
        '<input id="d" type="file" name="files" multiple webkitdirectory></form>'
    )
    page = open_page(form, {"/send": lambda route: (202, "application/json", answer)})
    page.set_input_files("#d", str(tmp_path / "study"))
    expect(page.locator(".files .name")).to_have_count(2)
    expect(page.locator(".dropzone .sum")).to_have_text("2 of 2 sent")


def test_a_large_file_goes_in_pieces_and_on_after_a_broken_line(open_page: OpenPage, tmp_path) -> None:
    content, received, broken = bytes(17 * 1024**2), [bytearray()], [True]
    (tmp_path / "large.dcm").write_bytes(content)

    def state() -> tuple[int, str, bytes]:
        there = len(received[0])
        said = {"url": "/pieces/1", "received": there, "piece_bytes": 8 * 1024**2}
        if there == len(content):
            said["files"] = [{"name": "large.dcm", "state": "queued"}]
        return 200, "application/json", json.dumps(said).encode()

    def piece(route: Route) -> tuple[int, str, bytes]:
        if route.request.method == "POST":
            assert int(route.request.headers["upload-offset"]) == len(received[0])
            # Blobs are not shown to the test: their length is.
            size = min(8 * 1024**2, len(content) - len(received[0]))
            if len(received[0]) and broken[0]:
                broken[0] = False
                return 502, "text/html", b""
            received[0] += bytes(size)
        return state()

    form = (
        '<form class="dropzone" data-dropzone data-url="/send" data-pieces="/pieces" method="post">'
        '<label for="f">Films</label><input id="f" type="file" name="files" multiple></form>'
    )
    page = open_page(form, {"/pieces": lambda route: state(), "/pieces/1": piece})
    page.set_input_files("#f", str(tmp_path / "large.dcm"))
    expect(page.locator(".files .chip")).to_have_text(["queued"], timeout=20_000)
    assert not broken[0]
    assert len(received[0]) == len(content)
