"""From what experts said to a model in service and back, in a real browser on the running product."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Open
from tests.e2e.models_desk import PATIENCE_MS, at_the_gate, made, train
from tests.integration.running import ROOT, Running, eventually
from tests.integration.test_transactions import event

CARD = re.compile(r"/models/versions/(\d+)/")
BAD = {"preset": "tiny", "control": "shuffled_labels"}
GOOD = {
    "fraud": {"preset": "tiny", "trees": "150", "epochs": "4"},
    "radiology": {
        "preset": "demo", "epochs": "20", "batch_size": "16", "augment": "0", "averaging": "0.9",
        "variants": "none",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def brought(demo: Running) -> str:
    """Films of elsewhere, more than the demo's few: of few a gate can tell nothing."""
    manage(demo, "simulate_films", "--name", "brought", "--films", "800", "--site", "demo")
    return "brought"


def manage(demo: Running, *command: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=demo.environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def report_a_fraud(demo: Running) -> None:
    """A payment, and weeks later what its cardholder says of it, signed both."""
    paid = event(event_id=f"walk-{uuid.uuid4().hex}")
    assert demo.send_events(paid).status_code == 202
    said = {
        "event_id": paid["event_id"],
        "fraud": True,
        "source": "chargeback",
        "scheme": "visa",
        "raw_code": "10.4",
    }
    assert demo.send_events(said, door="/api/v1/labels").status_code == 202


def came_in(page: Page, domain: str) -> int:
    """How much the page says has come in since the last freeze."""
    page.goto(f"/models/{domain}/freeze/")
    news = page.locator("section", has=page.get_by_role("heading", name=re.compile("^Came in")))
    return sum(int(one.replace(",", "")) for one in news.locator("dd").all_inner_texts())


def freeze(page: Page, domain: str, base: str) -> str:
    """The number of a dataset of what people said, with what was brought along."""
    page.goto(f"/models/{domain}/freeze/")
    page.get_by_label("Name").fill(f"walk-{uuid.uuid4().hex[:8]}")
    offered = page.get_by_label("Together with").locator("option", has_text=re.compile(rf"^\s*{base} \("))
    page.get_by_label("Together with").select_option(str(offered.get_attribute("value")))
    page.get_by_role("button", name="Freeze").click()
    page.wait_for_url(re.compile(r"/models/datasets/\d+/"), timeout=PATIENCE_MS)
    expect(page.locator("main")).to_contain_text("no trainer reads it")
    expect(page.locator("main")).to_contain_text(base)
    return page.url.rstrip("/").rsplit("/", 1)[1]


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def set_up_second_factor(page: Page) -> str:
    """What an authenticator keeps; whoever moves models needs one."""
    page.goto("/accounts/2fa/totp/activate/")
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("[name=code]").fill(code_of(secret))
    page.get_by_role("button", name="Activate").click()
    page.wait_for_url(lambda url: "activate" not in url)
    return secret


def press(page: Page, version: str, button: str, secret: str) -> None:
    """A move of a model: confirmed, and with a fresh code where one is asked for."""
    page.goto(version)
    page.get_by_role("button", name=button).first.click()
    page.get_by_role("dialog").get_by_role("button").last.click()
    page.wait_for_load_state()
    if "reauthenticate" in page.url:
        page.locator("[name=code]").fill(code_of(secret))
        page.locator("main form button[type=submit]").first.click()
        page.wait_for_url(lambda url: "reauthenticate" not in url)


@contextmanager
def traffic(demo: Running) -> Iterator[list[tuple[int, int]]]:
    """(HTTP status, version that decided) of payments that go on, one after the other."""
    seen: list[tuple[int, int]] = []
    over, patient = threading.Event(), {"door": "/api/v1/decisions", "lynceus-deadline-ms": "2000"}

    def pay() -> None:
        while not over.is_set():
            answer = demo.send_events(event(card_token=f"tok-{uuid.uuid4().hex[:2]}"), **patient)
            seen.append((answer.status_code, answer.json().get("model_version", 0)))

    payer = threading.Thread(target=pay)
    payer.start()
    try:
        yield seen
    finally:
        over.set()
        payer.join()


def number_of(page: Page) -> int:
    """Of the version whose page is open."""
    return int(re.findall(r"version (\d+)", page.locator("h1").inner_text())[0])


@pytest.fixture
def without_second_factor(demo: Running) -> Iterator[None]:
    """As the other tests find these people."""
    yield
    for name in ("mladmin", "mladmin2"):
        manage(demo, "remove_second_factor", demo.facts["accounts"][name]["email"])


def test_it_works(demo: Running, open_as: Open, brought: str, without_second_factor: None) -> None:
    """What came in is frozen, a retrain is watched and compared; the gate refuses the one of shuffled labels
    and accepts the other; a second person puts it in service while traffic goes on; one goes back."""
    report_a_fraud(demo)
    with open_as("mladmin") as page, open_as("mladmin2") as second:
        jobs = {
            "fraud": retrained(page, "fraud", "demo"), "radiology": retrained(page, "radiology", brought),
        }  # fmt: skip
        page.goto(jobs["fraud"][0])
        expect(page.locator("#job-live progress")).to_be_visible(timeout=PATIENCE_MS)
        mine, theirs = set_up_second_factor(page), set_up_second_factor(second)
        for domain, of in jobs.items():
            bad, good = (made(page, job) for job in of)
            compared(page, good)
            assert at_the_gate(page, bad) == "refused"
            expect(page.locator("#gate")).to_contain_text("Refused by")
            expect(page.get_by_role("button", name="Ask to promote")).to_have_count(0)
            assert at_the_gate(page, good) == "passed", page.locator("#gate").inner_text()
            with traffic(demo) as seen:
                press(page, good, "Ask to promote", mine)
                press(second, good, "Promote", theirs)
                expect(in_service(second, good)).to_have_count(1)
                new = number_of(second) if domain == "fraud" else 1
                eventually(lambda: seen and seen[-1][1] == new, of="a decision by it")  # noqa: B023
                press(page, good, "Roll back to", mine)
                expect(in_service(page, good)).to_have_count(0)
                eventually(lambda: seen[-1][1] == 1, of="a decision by the version before")
            assert set(seen) == {(200, 1), (200, new)}


def retrained(page: Page, domain: str, base: str) -> tuple[str, str]:
    """What came in is frozen, and learnt from twice: the first job's labels are shuffled."""
    assert came_in(page, domain) > 0
    dataset = freeze(page, domain, base)
    assert came_in(page, domain) == 0
    return train(page, domain, dataset, BAD), train(page, domain, dataset, GOOD[domain])


def compared(page: Page, version: str) -> None:
    page.goto(version)
    page.get_by_role("link", name=re.compile("Compare with version")).click()
    expect(page.locator("main")).to_contain_text("beside each other", timeout=PATIENCE_MS)
    expect(page.locator("main table")).not_to_have_count(0, timeout=PATIENCE_MS)


def in_service(page: Page, version: str) -> Locator:
    """The chip that says so, on its page."""
    page.goto(version)
    return page.locator("h1 .chip", has_text="in service")
