"""What the TypeScript does, in Chromium, under the product's own Content-Security-Policy."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable

from PIL import Image
from playwright.sync_api import Page, Route, expect

OpenPage = Callable[..., Page]


def row(number: int, status: str = "") -> str:
    link = f'<a href="/studies/{number}">study {number}</a>'
    return f'<tr data-id="{number}" data-href="/studies/{number}"><td>{link} {status}</td></tr>'


def body(shown: str) -> str:
    seen = hashlib.sha256(shown.encode()).hexdigest()[:8]
    attributes = (
        f'data-rows data-live hx-get="/rows?seen={seen}" hx-trigger="every 200ms" hx-swap="outerHTML"'
    )
    return f'<tbody id="rows" {attributes}>{shown}</tbody>'


def rows(*numbers: int) -> str:
    return body("".join(map(row, numbers)))


def table(shown: str) -> str:
    return f'<div class="table-wrap"><table class="table">{shown}</table></div>'


def live_list(open_page: OpenPage, served: list[int]) -> Page:
    answers = {"/rows": lambda route: (200, "text/html", rows(*served).encode())}
    return open_page(table(rows(1)), answers)


def test_a_new_row_slides_in_when_nobody_reads(open_page: OpenPage) -> None:
    served = [1]
    page = live_list(open_page, served)
    served.insert(0, 2)
    expect(page.locator("#rows tr")).to_have_text(["study 2", "study 1"])
    expect(page.locator(".new-bar")).to_have_count(0)


def test_while_a_row_is_selected_new_rows_wait_under_a_bar(open_page: OpenPage) -> None:
    served = [1]
    page = live_list(open_page, served)
    expect(page.locator("#rows")).to_be_attached()
    page.keyboard.press("j")
    served[:0] = [3, 2]
    expect(page.locator(".new-bar")).to_have_text("2 new")
    expect(page.locator("#rows tr")).to_have_text(["study 1"])
    page.locator(".new-bar button").click()
    expect(page.locator("#rows tr")).to_have_text(["study 3", "study 2", "study 1"])
    expect(page.locator("tr.selected")).to_have_text("study 1")


def test_enter_opens_the_selected_row(open_page: OpenPage) -> None:
    page = live_list(open_page, [1])
    page.keyboard.press("j")
    expect(page.locator("tr.selected")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/studies/1")


def films(*statuses: tuple[int, str]) -> str:
    return body("".join(row(number, status) for number, status in statuses))


def test_enter_opens_the_selected_row_after_its_status_changed(open_page: OpenPage) -> None:
    served = [films((1, "queued"), (2, "queued"))]
    answers = {"/rows": lambda route: (200, "text/html", served[0].encode())}
    page = open_page(table(served[0]), answers)
    page.keyboard.press("j")
    page.keyboard.press("j")
    served[0] = films((1, "queued"), (2, "analysed"))
    expect(page.locator("tr.selected")).to_have_text("study 2 analysed")
    expect(page.locator("tr.selected")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/studies/2")


def test_a_link_keeps_its_focus_when_its_row_is_replaced(open_page: OpenPage) -> None:
    served = [films((1, "queued"), (2, "queued"))]
    answers = {"/rows": lambda route: (200, "text/html", served[0].encode())}
    page = open_page(table(served[0]), answers)
    page.get_by_role("link", name="study 2").focus()
    served[0] = films((2, "analysed"), (1, "queued"))
    expect(page.locator("tr", has_text="study 2")).to_contain_text("analysed")
    expect(page.get_by_role("link", name="study 2")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/studies/2")


def test_the_selected_row_has_the_focus_again_once_new_rows_are_shown(open_page: OpenPage) -> None:
    served = [1]
    page = live_list(open_page, served)
    page.keyboard.press("j")
    served[:0] = [2]
    page.locator(".new-bar button").click()
    expect(page.locator("tr.selected")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/studies/1")


def test_only_rows_out_of_order_are_moved(open_page: OpenPage) -> None:
    served = [films((1, ""), (2, ""))]
    answers = {"/rows": lambda route: (200, "text/html", served[0].encode())}
    page = open_page(table(served[0]), answers)
    page.evaluate(
        "window.moved = []; new MutationObserver((all) => all.forEach((one) =>"
        " one.removedNodes.forEach((row) => window.moved.push(row.dataset.id))))"
        ".observe(document.querySelector('#rows'), {childList: true})"
    )
    served[0] = films((3, ""), (1, ""), (2, ""))
    expect(page.locator("#rows tr")).to_have_text(["study 3", "study 1", "study 2"])
    assert page.evaluate("window.moved") == []


def test_a_list_asks_by_what_it_shows_now(open_page: OpenPage) -> None:
    served = [rows(1)]
    page = open_page(table(rows(1)), {"/rows": lambda route: (200, "text/html", served[0].encode())})
    served[0] = rows(2, 1)
    expect(page.locator("#rows tr")).to_have_count(2)
    seen = re.search(r"seen=\w+", served[0])
    assert seen
    with page.expect_request(f"**/rows?{seen[0]}"):
        assert seen[0] not in rows(1)


def test_a_poll_that_is_answered_with_an_error_is_said_until_it_works(open_page: OpenPage) -> None:
    status = [502]
    answers = {"/rows": lambda route: (status[0], "text/html", rows(1).encode())}
    page = open_page(table(rows(1)), answers)
    expect(page.locator(".toasts")).to_contain_text("answers with an error (502)")
    expect(page.locator(".toasts")).not_to_contain_text("Connected again")
    status[0] = 200
    expect(page.locator(".toasts")).to_contain_text("Connected again")


def test_a_letter_after_g_goes_to_its_place_but_not_while_typing(open_page: OpenPage) -> None:
    page = open_page('<a href="/work" data-shortcut="g w">Worklist</a><input type="search">')
    page.keyboard.press("/")
    page.keyboard.type("gw")
    expect(page.locator("input")).to_have_value("gw")
    page.keyboard.press("Escape")
    page.keyboard.type("gw")
    page.wait_for_url("**/work")


def png() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").save(out, "png")
    return out.getvalue()


def middle_grey(page: Page) -> int:
    return page.evaluate(
        "() => { const c = document.querySelector('.film canvas');"
        " return c.getContext('2d').getImageData(c.width / 2, c.height * 0.25, 1, 1).data[0]; }"
    )


def test_the_viewer_fits_inverts_windows_and_resets(open_page: OpenPage) -> None:
    film = '<div class="film" data-viewer data-src="/film" data-synthetic data-captions="DX PA|M 64"></div>'
    page = open_page(film, {"/film": lambda route: (200, "image/png", png())})
    readout = page.locator(".film .bottom-left")
    expect(readout).to_have_text("W 255 L 128")
    expect(page.locator(".film .top-right")).to_have_text("SYNTHETIC")
    upright = middle_grey(page)
    page.keyboard.press("i")
    expect(readout).to_have_text("W 255 L 128 inverted")
    assert abs(middle_grey(page) - (255 - upright)) <= 1
    page.keyboard.press("r")
    expect(readout).to_have_text("W 255 L 128")
    box = page.locator(".film").bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 200)
    page.mouse.up()
    expect(readout).to_have_text("W 355 L 128")


def test_a_film_being_read_is_left_alone_when_its_study_changes(open_page: OpenPage) -> None:
    film = '<div id="film-1" class="film" hx-preserve data-viewer data-src="/film"></div>'
    served = ["<p>waiting</p>"]

    def analysis() -> str:
        return (
            '<div id="analysis" hx-get="/analysis" hx-trigger="every 200ms" hx-swap="outerHTML">'
            f"{film}{served[0]}</div>"
        )

    answers = {
        "/film": lambda route: (200, "image/png", png()),
        "/analysis": lambda route: (200, "text/html", analysis().encode()),
    }
    page = open_page(analysis(), answers)
    expect(page.locator(".film[data-ready]")).to_be_visible()
    expect(page.locator(".film .bottom-right")).to_contain_text("x")
    fitted = page.locator(".film .bottom-right").inner_text()
    page.keyboard.press("i")
    page.keyboard.press("+")
    expect(page.locator(".film .bottom-right")).not_to_have_text(fitted)
    expect(page.locator(".film .bottom-left")).to_have_text("W 255 L 128 inverted")
    zoom = page.locator(".film .bottom-right").inner_text()
    served[0] = "<p>analysed</p>"
    expect(page.locator("#analysis > p")).to_have_text("analysed")
    expect(page.locator(".film .bottom-left")).to_have_text("W 255 L 128 inverted")
    assert page.locator(".film .bottom-right").inner_text() == zoom
    page.keyboard.press("i")
    expect(page.locator(".film .bottom-left")).to_have_text("W 255 L 128")


def test_a_viewer_that_left_the_page_hears_no_key(open_page: OpenPage) -> None:
    film = '<div class="film" data-viewer data-src="/film"></div>'
    page = open_page(film, {"/film": lambda route: (200, "image/png", png())})
    expect(page.locator(".film[data-ready]")).to_be_visible()
    page.evaluate(
        "() => { window.film = document.querySelector('.film'); window.film.remove();"
        " return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); }"
    )
    page.keyboard.press("i")
    assert page.evaluate("window.film.querySelector('[aria-label=Invert]').ariaPressed") == "false"


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


def test_a_film_that_cannot_be_fetched_says_so(open_page: OpenPage) -> None:
    film = '<div class="film" data-viewer data-src="/film"></div>'
    page = open_page(film, {"/film": lambda route: (404, "text/plain", b"")})
    expect(page.locator(".film .message")).to_contain_text("could not be fetched (404)")


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
