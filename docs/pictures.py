"""Take the pictures of docs/images again, from a demo that runs over this folder's var/.

    make demo                                   # in another terminal
    .venv/bin/python -m docs.pictures [--out docs/images]

Photographs the worklist and the quality page; then sends two synthetic films of one patient for each set of
pictures, reads the later one as the radiologist, and photographs the viewer with the prior beside it, the
read and the report; as the analyst the overview, the queue, an alert, a backtest of rules, thresholds and a
case; as the administrator of models a small retrain, what came of it and what watches the models: 1440 and
390 pixels wide, dark and light.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydicom.uid import generate_uid

from ml.radiology.synthetic import synthetic_film
from tests.browser import launch
from tests.e2e.models_desk import at_the_gate, made, train

PATIENCE_MS = 60_000
HEIGHTS = {1440: 900, 390: 844}
SIDES = {"R": "right", "L": "left"}
SEEDS = (5005, 5004, 5005, 5009)  # films without white edges


@dataclass(frozen=True, slots=True)
class Place:
    """Of what is drawn on a film: the patient's side; left, top, right and bottom as shares of the film; and
    the film's width to its height."""

    side: str
    box: tuple[float, float, float, float]
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    facts = json.loads((Path(os.environ.get("LYNCEUS_VAR", "var")) / "demo.json").read_text())
    looks = [(width, scheme) for width in HEIGHTS for scheme in ("dark", "light")]
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for width, scheme in looks:  # before the films below are on the list too
            with signed_in(browser, facts, width, scheme) as page:
                for name in lists(page):
                    keep(page, out / f"{name}-{width}-{scheme}.png")
        for seed, (width, scheme) in zip(SEEDS, looks, strict=True):
            accession, place = send(facts, seed)
            with signed_in(browser, facts, width, scheme) as page:
                for name in reading(page, accession, place):
                    keep(page, out / f"{name}-{width}-{scheme}.png")
            with signed_in(browser, facts, width, scheme, "analyst") as page:
                keep(overview(page), out / f"overview-{width}-{scheme}.png")
                for name in desk(page):
                    keep(page, out / f"{name}-{width}-{scheme}.png")
        with signed_in(browser, facts, 1440, "dark", "mladmin") as page:
            job = retrained(page)
        for width, scheme in looks:
            with signed_in(browser, facts, width, scheme, "mladmin") as page:
                for name in models(page, job):
                    keep(page, out / f"{name}-{width}-{scheme}.png")
        browser.close()


def send(facts: dict[str, Any], seed: int) -> tuple[str, Place]:
    """A new patient with a film and one of a year before; the later one's accession number, and where its
    effusion lies."""
    patient = f"SYN-{uuid.uuid4().hex[:6].upper()}"
    taken = datetime.now(UTC) - timedelta(minutes=12)
    for name, at, findings in (("B", taken - timedelta(days=373), ()), ("A", taken, ("Effusion",))):
        film = synthetic_film(seed, 0, rows=1400, findings=findings)
        data = pydicom.dcmread(io.BytesIO(film.content))
        data.PatientID, data.AccessionNumber = patient, f"{patient}-{name}"
        data.StudyDate, data.StudyTime, data.PatientBirthDate = (
            f"{at:%Y%m%d}",
            f"{at:%H%M%S}",
            f"{taken.year - film.age - 1}1204",
        )
        data.TimezoneOffsetFromUTC = "+0000"
        data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
        data.SOPInstanceUID = generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
        store(facts, buffer.getvalue())
    return f"{patient}-A", place_of(film.masks["Effusion"])


def place_of(mask: npt.NDArray[np.bool_]) -> Place:
    """A box round it, and a little more."""
    rows, columns = mask.shape
    down, across = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, right = across[0] / columns - 0.02, across[-1] / columns + 0.02
    box = (left, down[0] / rows - 0.02, right, down[-1] / rows + 0.02)
    return Place("R" if left + right < 1 else "L", box, columns / rows)


def store(facts: dict[str, Any], content: bytes) -> None:
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    httpx.post(
        f"{facts['dicomweb_url']}/studies",
        content=head + content + f"\r\n--{boundary}--\r\n".encode(),
        headers={
            "Authorization": f"Bearer {facts['api_token']}",
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        },
        timeout=60,
    ).raise_for_status()


@contextmanager
def signed_in(
    browser: Browser, facts: dict[str, Any], width: int, scheme: Any, who: str = "radiologist"
) -> Iterator[Page]:
    context = browser.new_context(
        base_url=facts["base_url"], viewport={"width": width, "height": HEIGHTS[width]}, color_scheme=scheme
    )
    page, account = context.new_page(), facts["accounts"][who]
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(account["email"])
    page.get_by_label("Password", exact=True).fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    yield page
    context.close()


def lists(page: Page) -> Iterator[str]:
    """Names of pictures, each with the page as it is to be taken."""
    page.goto("/radiology/")
    page.wait_for_selector("#rows tr")
    yield "worklist"
    page.goto("/radiology/quality/")
    expect(page.locator("figure canvas")).to_have_count(2)
    yield "quality"


def reading(page: Page, accession: str, place: Place) -> Iterator[str]:
    """The same of one study, from its film to its report."""
    page.goto(f"/radiology/?q={accession}")
    study = page.locator("#rows tr[data-href]")
    expect(study.filter(has_text="analysed")).to_have_count(1, timeout=PATIENCE_MS)
    page.goto(study.get_attribute("data-href") or "")
    shown(page)
    page.keyboard.press("b")
    expect(page.locator(".film.prior[data-ready]")).to_be_visible(timeout=PATIENCE_MS)
    page.locator(".viewer").scroll_into_view_if_needed()
    yield "viewer"
    page.keyboard.press("b")
    page.get_by_role("button", name="Read this study").click()
    shown(page)
    page.get_by_label("Template").select_option("chest_pa")
    page.get_by_role("button", name="Use").click()
    expect(page.get_by_label("Impression")).to_be_visible()
    shown(page)
    page.get_by_label("Impression").fill(f"Effusion on the {SIDES[place.side]}, new since the prior.")
    page.get_by_role("radio", name="pleural effusion: present").check()
    page.get_by_label("pleural effusion: the patient's side").select_option(place.side)
    page.get_by_role("radio", name="pneumothorax: absent").check()
    page.get_by_role("button", name="Draw a box for pleural effusion on the film").click()
    draw(page, place)
    page.get_by_label("Indication").fill("Short of breath since yesterday.")
    page.get_by_role("button", name="Commit read").click()
    expect(page.get_by_role("button", name="Sign")).to_be_visible(timeout=PATIENCE_MS)
    shown(page)
    expect(page.locator(".outlines polygon")).to_have_count(1)
    if page.evaluate("innerWidth") < 1440:
        page.locator(".read").evaluate("panel => { panel.scrollIntoView(); scrollBy(0, -60); }")
    yield "read"
    page.get_by_role("button", name="Sign").click()
    page.locator("dialog").get_by_role("button", name="Sign").click()
    expect(page.get_by_role("button", name="Sign")).to_have_count(0, timeout=PATIENCE_MS)
    page.get_by_role("link", name="Your report").click()
    expect(page.locator("article")).to_be_visible()
    for _ in range(20):
        if page.get_by_text("delivered").count():
            break
        page.wait_for_timeout(3000)
        page.reload()
    yield "report"


def overview(page: Page) -> Page:
    """Of what the demo has played and counted so far."""
    page.goto("/fraud/watch/?days=1")
    expect(page.locator("figure canvas").first).to_be_visible(timeout=PATIENCE_MS)
    return page


def desk(page: Page) -> Iterator[str]:
    """The analyst's pages besides, from the queue on."""
    page.goto("/fraud/")
    expect(page.locator("#rows tr[data-id]").first).to_be_visible(timeout=PATIENCE_MS)
    yield "queue"
    page.locator("#rows tr[data-id] button.link").first.click()
    expect(page.locator("figure canvas").first).to_be_visible(timeout=PATIENCE_MS)
    yield "alert"
    page.goto("/fraud/rules/backtests/")
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="Rule by rule")).to_be_visible(timeout=PATIENCE_MS)
    yield "rules"
    page.goto("/fraud/thresholds/")
    expect(page.locator("figure canvas").first).to_be_visible(timeout=PATIENCE_MS)
    yield "thresholds"
    page.goto("/fraud/cases/")
    page.locator("tbody a").first.click()
    expect(page.locator("article, .panel").first).to_be_visible(timeout=PATIENCE_MS)
    yield "cases"


def retrained(page: Page) -> str:
    """A fraud job on the demo's payments that made a version, which was at the gate; its address."""
    page.goto("/models/fraud/train/")
    dataset = page.locator("[name=dataset] option", has_text=re.compile(r"^\s*demo "))
    asked = {"preset": "tiny", "trees": "150", "epochs": "8"}
    job = train(page, "fraud", str(dataset.first.get_attribute("value")), asked)
    at_the_gate(page, made(page, job))
    return job


def models(page: Page, job: str) -> Iterator[str]:
    """The administrator's: from the list of versions to what watches the one in service."""
    page.goto("/models/")
    expect(page.locator("main table").first).to_be_visible()
    yield "models"
    page.goto(job)
    expect(page.locator("figure canvas").first).to_be_visible(timeout=PATIENCE_MS)
    yield "job"
    page.goto(made(page, job))
    page.locator("#gate").scroll_into_view_if_needed()
    yield "gate"
    page.get_by_role("link", name=re.compile("Compare with version")).first.click()
    expect(page.locator("figure canvas").first).to_be_visible(timeout=PATIENCE_MS)
    yield "compare"
    page.goto("/models/fraud/watch/")
    expect(page.locator("main h2").first).to_be_visible(timeout=PATIENCE_MS)
    yield "watch"


def draw(page: Page, place: Place) -> None:
    """Round it, on the film as it fits into its pane."""
    box = page.locator(".film .screen").first.bounding_box()
    if not box:
        raise SystemExit("The film is not on the page.")
    height = min(box["height"], box["width"] / place.ratio)
    x, y = box["x"] + (box["width"] - height * place.ratio) / 2, box["y"] + (box["height"] - height) / 2
    left, top, right, bottom = place.box
    page.mouse.move(x + left * height * place.ratio, y + top * height)
    page.mouse.down()
    page.mouse.move(x + right * height * place.ratio, y + bottom * height, steps=6)
    page.mouse.up()


def shown(page: Page) -> None:
    expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=PATIENCE_MS)


def keep(page: Page, path: Path) -> None:
    page.wait_for_timeout(400)  # fonts and the film's last frame
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A palette holds a page and its film in a third of the bytes.
    shot.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path.name} {path.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
