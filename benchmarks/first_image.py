"""How soon a film of 10 MB stands on the screen, in Chromium over loopback, from the server the demo starts.

    python -m benchmarks.first_image [--rounds 9]

From the navigation to a study nobody has opened: first_image_s until the thumbnail is painted, full_depth_s
until the film is, at full depth. Warm: the browser has the pages' files already; cold: it has nothing. The
film lies uncompressed, 16 bits a pixel. JPEG 2000 is the same film compressed without loss, warm.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright
from pydicom.uid import JPEG2000Lossless

from benchmarks.radiology_place import draw
from benchmarks.report import report
from benchmarks.serving_place import Place, installed, python, running, web
from tests.browser import launch

MEGABYTES = 10.0
PATIENCE_MS = 60_000
# Received and decoded as by the doors and the worker; printed: the pages of the studies.
STORE = """
import django, json, sys; django.setup()
from pathlib import Path
from apps.radiology.common.decoding import picture_apart
from apps.radiology.models import DicomNode, Instance
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.common.services.senders import node_sender
from apps.radiology.common.store import film_path, incoming, write_picture
sender = node_sender(DicomNode.objects.select_related("site").first())
pages = []
for file in sorted(Path(sys.argv[1]).iterdir()):
    with incoming() as path:
        path.write_bytes(file.read_bytes())
        ingest_instance(path, sender=sender)
    one = Instance.objects.select_related("site", "study").latest("pk")
    stored = film_path(one.site, one.file_sha256)
    write_picture(one.site, one.file_sha256, picture_apart(stored, 0, kind="PNG", side=3072))
    Instance.objects.filter(pk=one.pk).update(has_picture=True)
    pages.append(f"/radiology/studies/{one.study.public_id}/")
print(json.dumps(pages))
"""
ACCOUNT = """
import django, json; django.setup()
from demo import seed
one = seed.accounts()["radiologist"]; print(json.dumps([one.email, one.password]))
"""
# Asked once a frame; two frames later it has been painted. Milliseconds since the navigation began.
WATCH = """(() => {
  const seen = window.seen = {}, found = new Set();
  const painted = (name) => {
    if (found.has(name)) return;
    found.add(name);
    requestAnimationFrame(() => requestAnimationFrame(() => { seen[name] = performance.now(); }));
  };
  const look = () => {
    const film = document.querySelector(".film[data-ready]");
    const small = document.querySelector(".film .thumbnail");
    if (film || small?.complete && small.naturalWidth) painted("first");
    if (film) painted("full");
    if (found.size < 2) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        var = Path(folder) / "var"
        var.mkdir()
        place = installed(var)
        with running(place, "-m", "demo.redis"), web(place, 1, 4):
            table = [
                _row("warm", place, rounds),
                _row("cold", place, rounds, cold=True),
                _row("JPEG 2000, warm", place, rounds, syntax=JPEG2000Lossless),
            ]
    warm, cold, _ = table
    measures = {
        "first_image_s": warm["first_image_p50_s"], "full_depth_s": warm["full_depth_p50_s"],
        "cold_first_image_s": cold["first_image_p50_s"], "cold_full_depth_s": cold["full_depth_p50_s"],
    }  # fmt: skip
    load = os.getloadavg()[1]  # five minutes: what else the machine did meanwhile
    report("first_image", table, measures, rounds=rounds, megabytes=MEGABYTES, load=load)


def first_image_s(place: Place, rounds: int = 9) -> float:
    """The median until a first image stands on the screen, of a running installation, with warm caches."""
    return statistics.median(first for first, _ in opened(place, rounds))


def opened(
    place: Place, rounds: int, *, cold: bool = False, syntax: str | None = None
) -> list[tuple[float, float]]:
    """Seconds until a first image and until full depth stand on the screen, each of a study of its own."""
    pages = _stored(place, rounds + 1, syntax)
    email, password = json.loads(python(place, "-c", ACCOUNT).splitlines()[-1])
    found = []
    with sync_playwright() as playwright, closing(launch(playwright)) as browser:
        context = _signed_in(browser, place, email, password)
        _open(context, pages[0])  # what is made once by the server, and the warm browser's files
        for page in pages[1:]:
            if cold:
                state = context.storage_state()
                context.close()
                context = _context(browser, place, storage_state=state)
            found.append(_open(context, page))
    return found


def _row(name: str, place: Place, rounds: int, **how: Any) -> dict[str, Any]:
    found = opened(place, rounds, **how)
    row: dict[str, Any] = {"browser": name}
    for kind, values in zip(("first_image", "full_depth"), zip(*found, strict=True), strict=True):
        row |= {f"{kind}_p50_s": statistics.median(values), f"{kind}_low_s": min(values),
                f"{kind}_high_s": max(values)}  # fmt: skip
    return row


def _stored(place: Place, count: int, syntax: str | None) -> list[str]:
    drawn = draw((MEGABYTES,))
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        for number in range(count):
            file = Path(folder) / f"{number:03d}.dcm"
            file.write_bytes(drawn.film(MEGABYTES, number, syntax))
        pages = python(place, "-c", STORE, folder).splitlines()[-1]
    return list(json.loads(pages))


def _context(browser: Browser, place: Place, **state: Any) -> BrowserContext:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{place.port}", viewport={"width": 1440, "height": 900}, **state
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


def _signed_in(browser: Browser, place: Place, email: str, password: str) -> BrowserContext:
    context = _context(browser, place)
    page = context.new_page()
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    page.close()
    return context


def _open(context: BrowserContext, address: str) -> tuple[float, float]:
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(address, wait_until="commit")
    page.wait_for_function("() => window.seen?.full")
    seen = page.evaluate("window.seen")
    page.wait_for_load_state(
        "networkidle"
    )  # the next study's film, fetched ahead, is not the next one's burden
    page.close()
    return seen["first"] / 1000, seen["full"] / 1000


if __name__ == "__main__":
    main()
