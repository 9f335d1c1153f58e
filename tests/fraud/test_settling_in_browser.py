"""In real Chromium: settling by keys, the pages of cases and contests, wide and narrow, dark and light."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.fraud.models import ContactAttempt, Contest, Disposition, Source, WorkItem
from apps.fraud.settle.services.acts import block_card
from apps.fraud.settle.services.cases import add_evidence, ask_closing, open_case
from apps.fraud.settle.services.dispositions import dispose
from apps.fraud.work.services.work import take_item
from tests.e2e.test_accessibility import violations
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_contests import contest
from tests.fraud.test_dispositions import FRAUD
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = pytest.mark.django_db(transaction=True)
LARGE = 600_000
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at


@pytest.fixture
def state(live_server, author) -> dict[str, Any]:
    client = Client()
    client.force_login(author)
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


def fits(page: Any, url: str, name: str, width: int, scheme: str) -> list[str]:
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert page.locator("h1").count() == 1
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
    return violations(page, f"{name} {width} {scheme}")


def test_an_alert_is_settled_by_keys(alerts, state, live_server, author, second) -> None:
    first, other = alerts(LARGE, LARGE + 900, device_id="d-1")
    [done] = alerts(LARGE, card="card-0002")
    block_card("card-0001", until=None, reason="stolen", by=second, about=[done.decision])
    dispose(take_item(done.item, second), [done.pk], FRAUD, second)
    pages = {"to settle": other, "settled": done}
    addresses = {
        name: f"{live_server.url}/fraud/decisions/{one.decision.public_id}/" for name, one in pages.items()
    }
    found: list[str] = []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([state])
            for name, address in addresses.items():
                found += fits(page, address, name.replace(" ", "-"), width, scheme)
    assert found == []
    with opened() as page:
        page.context.add_cookies([state])
        page.goto(addresses["to settle"])
        assert not page.get_by_label("Type of fraud").is_visible()
        page.keyboard.press("1")  # confirmed fraud
        page.get_by_label("Type of fraud").select_option("stolen")
        page.locator("#id_reason_fraud").select_option("holder_denies")
        page.keyboard.press("Escape")
        if SHOTS:
            page.screenshot(path=Path(SHOTS, "chosen.png"), full_page=True)
        page.keyboard.press("d")
        page.wait_for_url("**/fraud/")
        page.goto(addresses["to settle"])
        page.locator("#contacts summary").click()
        page.locator("#id_outcome").select_option("denied")
        page.get_by_role("button", name="Write down").click()
        page.get_by_text("denies the payment").first.wait_for()
    made = Disposition.objects.order_by("pk").last()
    assert made is not None
    assert (made.verdict, made.type, made.alerts.count(), made.by) == ("fraud", "stolen", 2, author)
    assert WorkItem.objects.filter(closed_at=None).count() == 0
    assert ContactAttempt.objects.get().outcome == "denied"
    assert first.decision_id


def test_cases_and_contests_fit(alerts, post, state, live_server, author, second) -> None:
    [found] = alerts(LARGE)
    case = open_case(title="A ring of three cards at one jeweller", alerts=[found], by=second)
    add_evidence(case, second, text="Same device.", link="https://example.org/report/7")
    ask_closing(open_case(title="Done", alerts=[], by=second), "Nothing came of it.", second)
    Source.objects.update(review_means="decline")
    post(event("e1", amount_minor=LARGE, card_token="c9"))
    drain_all()
    post(contest(), door="contests")
    places = {
        "cases": "cases/", "case": f"cases/{case.public_id}/", "closing": "cases/?shown=closing",
        "contests": "contests/", "contest": f"contests/{Contest.objects.get().public_id}/",
        "none": "contests/?shown=settled",
    }  # fmt: skip
    found_wrong: list[str] = []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([state])
            for name, place in places.items():
                found_wrong += fits(page, f"{live_server.url}/fraud/{place}", name, width, scheme)
    assert found_wrong == []
