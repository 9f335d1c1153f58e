"""Live lists in a real browser: nothing jumps, nothing is lost, and silence is said."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

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
