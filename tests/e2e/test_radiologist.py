"""A radiologist's first quarter of an hour, in a real browser on the running product."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pydicom
from playwright.sync_api import Page, expect

from apps.radiology.worklist.worklist import PAGE_ROWS
from demo.day import FILMS, PREFIX
from demo.past_reads import SEED
from ml.radiology.synthetic import synthetic_film
from tests.e2e.conftest import Open
from tests.integration.running import Running

PATIENCE_MS = 60_000


def unsent(demo: Running) -> list[Path]:
    return sorted((demo.var / "films-to-send").glob("*.dcm"))[12:]


def send(page: Page, *files: dict) -> None:
    page.goto("/radiology/upload/")
    page.set_input_files("input[type=file]", list(files))


def named(name: str, content: bytes) -> dict:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def read_blind(page: Page) -> None:
    """Mark, commit, and only then see what the model says."""
    expect(page.get_by_role("button", name="Read this study")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".probability")).to_have_count(0)
    page.keyboard.press("r")
    page.get_by_role("radio", name="pleural effusion: absent").check()
    page.get_by_label("Report").fill("Heart and lungs as drawn.")
    expect(page.locator("#read-kept time")).to_be_visible()
    page.get_by_role("button", name="Commit read").click()
    expect(page.locator(".probability")).not_to_have_count(0)
    expect(page.get_by_role("radio", name="pleural effusion: absent")).to_be_checked()


def test_the_list_is_full_the_moment_the_demo_is_up(demo: Running) -> None:
    """The day's studies, and the past's, each dated to when it came."""
    with demo.as_person("radiologist") as client:
        for beginning, n in ((PREFIX, FILMS["tiny"]), (f"SYN{SEED:04d}-", PAGE_ROWS)):
            page = client.get("/radiology/", params={"q": beginning, "reading": "all"}).text
            assert page.count("data-href=") == n
            assert "exam clock" not in page


def test_it_works(demo: Running, open_as: Open) -> None:
    """One film, dropped on the page: queued, then analysed; read, and then what the model found."""
    with open_as("radiologist") as page:
        send(page, named("film.dcm", unsent(demo)[0].read_bytes()))
        row = page.locator(".files li").first
        expect(row).to_contain_text("film.dcm")
        expect(row.locator(".chip")).to_have_text("analysed", timeout=PATIENCE_MS)
        row.get_by_role("link").click()
        read_blind(page)
        expect(page.locator(".film canvas")).to_be_visible()
        expect(page.locator(".film")).to_contain_text("SYNTHETIC")
        expect(page.locator("footer")).to_contain_text("Not a medical device")


def test_an_open_study_page_shows_its_findings_when_they_come(demo: Running, open_as: Open) -> None:
    with open_as("radiologist") as page:
        send(page, named("film.dcm", unsent(demo)[1].read_bytes()))
        page.locator(".files li").first.get_by_role("link").click()
        page.evaluate("window.stillTheSamePage = true")
        expect(page.get_by_text("opens once you have committed")).to_be_visible(timeout=PATIENCE_MS)
        assert page.evaluate("window.stillTheSamePage")


def test_an_open_study_page_offers_the_report_once_the_study_is_complete(
    demo: Running, open_as: Open, tmp_path: Path
) -> None:
    with open_as("radiologist") as page:
        send(page, named("film.dcm", synthetic_film(99, 0).content))
        page.locator(".files li").first.get_by_role("link").click()
        read_blind(page)
        link = page.get_by_role("link", name="Structured report (DICOM)")
        expect(link).to_be_visible(timeout=PATIENCE_MS)
        with page.expect_download() as download:
            link.click()
        download.value.save_as(tmp_path / "report.dcm")
    report = pydicom.dcmread(tmp_path / "report.dcm")
    assert (report.Modality, report.PreliminaryFlag, report.VerificationFlag) == (
        "SR", "PRELIMINARY", "UNVERIFIED",
    )  # fmt: skip


def test_a_report_from_a_template_is_kept_as_it_is_written_and_becomes_a_page(
    demo: Running, open_as: Open
) -> None:
    with open_as("radiologist") as page:
        send(page, named("film.dcm", synthetic_film(98, 0).content))
        page.locator(".files li").first.get_by_role("link").click()
        page.get_by_role("button", name="Read this study").click()
        page.get_by_label("Template").select_option("chest_pa")
        page.get_by_role("button", name="Use").click()
        page.get_by_label("Impression").fill("As drawn.")
        expect(page.locator("#read-kept time")).to_be_visible()
        page.reload()
        expect(page.get_by_label("Impression")).to_have_value("As drawn.")
        page.get_by_role("button", name="Commit read").click()
        page.get_by_role("button", name="Sign").click()
        page.get_by_role("dialog").get_by_role("button", name="Sign").click()
        page.get_by_role("link", name="Your report").click()
        report = page.locator("article")
        expect(report).to_contain_text("As drawn.")
        expect(report).not_to_contain_text("Pleura:")
        expect(report).to_contain_text("Not a medical device")


def test_a_zip_gives_each_film_its_own_row(demo: Running, open_as: Open) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for film in unsent(demo)[2:4]:
            archive.write(film, film.name)
        archive.writestr("notes.txt", "not a film")
    with open_as("radiologist") as page:
        send(page, named("films.zip", packed.getvalue()))
        chips = page.locator(".files li .chip")
        expect(chips).to_have_count(3)
        expect(chips.filter(has_text="refused")).to_have_count(1)
        expect(chips.filter(has_text="analysed")).to_have_count(2, timeout=PATIENCE_MS)


def test_what_is_no_film_is_refused_with_the_reason(demo: Running, open_as: Open) -> None:
    whole = unsent(demo)[4].read_bytes()
    with open_as("radiologist") as page:
        send(page, named("letter.pdf", b"%PDF-1.7 nothing"), named("cut.dcm", whole[: len(whole) // 2]))
        chips = page.locator(".files li .chip")
        expect(chips).to_have_text(["refused", "refused"])
        expect(page.locator(".files li").first).to_contain_text("not a DICOM file")
        expect(page.locator(".files li").nth(1)).to_contain_text("ends before")


def test_the_worklist_hears_of_a_film_sent_by_a_modality(demo: Running, open_as: Open) -> None:
    with open_as("radiologist") as page:
        page.goto("/radiology/")
        page.wait_for_selector("#rows tr")
        page.evaluate("window.stillTheSamePage = true")
        known = page.locator("#rows tr").count()
        demo.store_by_dimse(unsent(demo)[5])
        expect(page.locator("#rows tr")).to_have_count(known + 1, timeout=PATIENCE_MS)
        assert page.evaluate("window.stillTheSamePage")


def test_a_film_is_read_at_full_depth_with_its_tools(demo: Running, open_as: Open) -> None:
    """Measured, turned, its window dragged; whose it is stays on it."""
    with open_as("radiologist") as page:
        page.goto("/radiology/")
        page.locator("#rows tr a").first.click()
        expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=PATIENCE_MS)
        film = page.locator(".film")
        expect(film.locator(".top-left")).to_contain_text("ID SYN")
        box = film.locator(".screen").bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.keyboard.press("l")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 90, y + 40, steps=4)
        page.mouse.up()
        expect(film.locator("svg text")).to_contain_text("px uncalibrated")
        page.keyboard.press("h")
        expect(film).to_contain_text("FLIPPED left to right on this screen only")
        page.keyboard.press("n")
        expect(film).not_to_contain_text("FLIPPED", timeout=PATIENCE_MS)
        expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=PATIENCE_MS)
