"""What an administrator of models does in a browser: asks for a job, waits for its version, asks the gate."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

PATIENCE_MS = 240_000


def train(page: Page, domain: str, dataset: str, asked: dict[str, str]) -> str:
    """The address of a job that was asked for."""
    page.goto(f"/models/{domain}/train/")
    page.locator("[name=dataset]").select_option(dataset)
    for name, value in asked.items():
        field = page.locator(f"[name={name}], [name=param_{name}]")
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/models/jobs/\d+/"))
    return page.url


def made(page: Page, job: str) -> str:
    """The address of the version the job made, once it did; watched while it learns."""
    page.goto(job)
    expect(page.locator("#job-live .chip")).to_have_text(re.compile("succeeded"), timeout=PATIENCE_MS)
    link = page.locator("main a[href*='/models/versions/']").first
    return str(link.get_attribute("href"))


def at_the_gate(page: Page, version: str) -> str:
    """passed or refused, as the page says."""
    page.goto(version)
    page.get_by_role("button", name="Check at the gate").click()
    chip = page.locator("#gate header .chip")
    expect(chip).to_have_text(re.compile("passed|refused"), timeout=PATIENCE_MS)
    return chip.inner_text().strip()
