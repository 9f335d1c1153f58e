"""Take the pictures of docs/images again, from a demo that runs over this folder's var/.

    make demo                                   # in another terminal
    .venv/bin/python -m docs.pictures [--out docs/images]

Sends two synthetic films of one patient for each set of pictures, reads the later one as the radiologist, and
photographs the worklist, the viewer with the prior beside it, and the read, and as the analyst the overview,
1440 and 390 pixels wide, dark and light.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pydicom
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydicom.uid import generate_uid

from ml.radiology.synthetic import synthetic_film
from tests.browser import launch

PATIENCE_MS = 60_000
HEIGHTS = {1440: 900, 390: 844}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    facts = json.loads((Path(os.environ.get("LYNCEUS_VAR", "var")) / "demo.json").read_text())
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for number, (width, scheme) in enumerate(
            (width, scheme) for width in HEIGHTS for scheme in ("dark", "light")
        ):
            accession = send(facts, number)
            with signed_in(browser, facts, width, scheme) as page:
                for name in take(page, accession):
                    keep(page, out / f"{name}-{width}-{scheme}.png")
            with signed_in(browser, facts, width, scheme, "analyst") as page:
                keep(overview(page), out / f"overview-{width}-{scheme}.png")
        browser.close()


def send(facts: dict[str, Any], number: int) -> str:
    """A new patient with a film and one of a year before; the later one's accession number."""
    patient = f"SYN-{uuid.uuid4().hex[:6].upper()}"
    for year, findings in ((2025, ()), (2026, ("Effusion",))):
        film = synthetic_film(5000 + number, 0, rows=1400, findings=findings)
        data = pydicom.dcmread(io.BytesIO(film.content))
        data.PatientID, data.AccessionNumber = patient, f"{patient}-{year}"
        data.StudyDate, data.StudyTime, data.PatientBirthDate = f"{year}1119", "091500", "19611204"
        data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
        data.SOPInstanceUID = generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
        store(facts, buffer.getvalue())
    return f"{patient}-2026"


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


def take(page: Page, accession: str) -> Iterator[str]:
    """Names of pictures, each with the page as it is to be taken."""
    page.goto(f"/radiology/?q={accession}")
    study = page.locator("#rows tr[data-href]")
    expect(study.filter(has_text="analysed")).to_have_count(1, timeout=PATIENCE_MS)
    address = study.get_attribute("data-href") or ""
    page.goto("/radiology/")
    page.wait_for_selector("#rows tr")
    yield "worklist"
    page.goto(address)
    shown(page)
    page.keyboard.press("b")
    expect(page.locator(".film.prior[data-ready]")).to_be_visible(timeout=PATIENCE_MS)
    page.locator(".viewer").scroll_into_view_if_needed()
    yield "viewer"
    page.keyboard.press("b")
    page.get_by_role("button", name="Read this study").click()
    shown(page)
    page.get_by_role("radio", name="pleural effusion: present").check()
    page.get_by_label("pleural effusion: the patient's side").select_option("R")
    page.get_by_role("button", name="Draw a box for pleural effusion on the film").click()
    draw(page)
    page.get_by_label("Report").fill("Blunting of the right costophrenic angle; heart size within limits.")
    page.get_by_role("button", name="Commit read").click()
    shown(page)
    expect(page.locator(".outlines polygon")).to_have_count(1)
    if page.evaluate("innerWidth") < 1440:
        page.locator(".read").evaluate("panel => { panel.scrollIntoView(); scrollBy(0, -60); }")
    yield "read"


def overview(page: Page) -> Page:
    """Of what the demo has played and counted so far."""
    page.goto("/fraud/watch/?days=1")
    expect(page.locator("figure canvas").first).to_be_visible(timeout=PATIENCE_MS)
    return page


def draw(page: Page) -> None:
    """Round the base of the right lung."""
    box = page.locator(".film .screen").first.bounding_box()
    if not box:
        raise SystemExit("The film is not on the page.")
    side = min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - side * 0.36, y + side * 0.06)
    page.mouse.down()
    page.mouse.move(x - side * 0.12, y + side * 0.32, steps=6)
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
