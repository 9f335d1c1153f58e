"""A policy kept and looked at, and a version taken from an archive, in real Chromium and in every look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import violations
from tests.modelops.test_archive import FILES, forget, mine  # noqa: F401
from tests.modelops.test_retraining import frozen, keep, look
from tests.modelops.test_retraining_policy import sound
from tests.modelops.test_version import address_of
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at


def looked_at(page: Page, name: str, width: int, scheme: str) -> list[str]:
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert page.locator("h1").count() == 1
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
    return violations(page, f"{name} {width} {scheme}")


@pytest.fixture
def archive(admin, make_version, make_job, mine, tmp_path) -> Path:  # noqa: F811
    """Of a version that is gone from here since. Beside it a policy with one start, and one held back."""
    leaving, staying = make_version(files=FILES), make_version()
    keep(admin, alarms=["drift"], calendar="weekly")
    look()
    frozen()
    look()
    sound(staying, "drift")
    look()
    path = tmp_path / "testing-v1.lynceus.tar"
    path.write_bytes(b"".join(admin.post(address_of(leaving, "export")).streaming_content))
    forget(leaving)
    return path


def test_it_works(archive, admin, live_server) -> None:
    cookie = {"name": "sessionid", "value": admin.cookies["sessionid"].value, "url": live_server.url}
    found: list[str] = []
    for place, (width, scheme) in enumerate(LOOKS):
        with opened(width, scheme) as page:
            page.context.add_cookies([cookie])
            page.goto(live_server.url + reverse("modelops:index"))
            page.get_by_role("link", name="Retraining").click()
            expect(page.get_by_text("held back")).to_be_visible()
            found += looked_at(page, "retraining", width, scheme)
            if place == 0:
                page.get_by_label("Days between two starts").fill("3")
                page.get_by_role("button", name="Keep").click()
                expect(page.get_by_text("The policy is kept.")).to_be_visible()
            page.goto(live_server.url + reverse("modelops:import", args=["testing"]))
            found += looked_at(page, "import", width, scheme)
            page.get_by_label("Archive").set_input_files(archive)
            page.get_by_label("Judged by").select_option(label="ours")
            page.get_by_role("button", name="Import").click()
            if place:
                expect(page.get_by_text("It is here already")).to_be_visible()
                continue
            expect(page.get_by_text("is here, as a candidate")).to_be_visible()
            with page.expect_download() as download:
                page.get_by_role("button", name="Export").click()
            assert download.value.suggested_filename == "testing-v3.lynceus.tar"
            found += looked_at(page, "imported", width, scheme)
    assert found == []
