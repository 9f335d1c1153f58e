"""Take the pictures of the alert again, from a demo that runs over this folder's var/.

    make demo                                   # in another terminal
    .venv/bin/python -m docs.alert_pictures [--out docs/images]

Sends a card's payments that end in an alert, and photographs its page, 1440 and 390 pixels wide, dark
and light.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import expect, sync_playwright
from tests.e2e.test_alert import alerted, opened

from apps.fraud.signatures import sign
from docs.pictures import HEIGHTS, keep, signed_in
from tests.browser import launch


@dataclass(frozen=True, slots=True)
class Sender:
    facts: dict[str, Any]

    def send_events(self, event: dict[str, Any]) -> httpx.Response:
        body, webhook_id, at = json.dumps([event]).encode(), f"msg_{time.time_ns()}", int(time.time())
        hook = self.facts["webhook"]
        headers = {
            "content-type": "application/json", "webhook-id": webhook_id, "webhook-timestamp": str(at),
            "webhook-signature": sign(hook["secret"], webhook_id, at, body), "lynceus-source": hook["source"],
        }  # fmt: skip
        return httpx.post(
            f"{self.facts['base_url']}/api/v1/transactions", content=body, headers=headers, timeout=30
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    facts = json.loads((Path(os.environ.get("LYNCEUS_VAR", "var")) / "demo.json").read_text())
    card = alerted(Sender(facts), 790_000)  # type: ignore[arg-type]
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for width in HEIGHTS:
            for scheme in ("dark", "light"):
                with signed_in(browser, facts, width, scheme, "analyst") as page:
                    opened(page, card)
                    expect(page.locator(".plot canvas")).to_have_count(2)
                    keep(page, out / f"alert-{width}-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main()
