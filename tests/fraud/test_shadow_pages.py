"""The pages of a version in shadow: its own, and what an alert says of it."""

from __future__ import annotations

import pytest
from django.test import Client
from playwright.sync_api import expect

from apps.audit.models import AuditEvent
from apps.fraud.lifecycle.services.follow import follow_decisions
from apps.fraud.lifecycle.shadow import agreement_of, open_run
from apps.fraud.models import Decision, ShadowRun, ShadowScore
from apps.fraud.rules.rules import Rule
from apps.modelops.models import RunEnd
from tests.fraud.conftest import drain_all, event
from tests.fraud.shadowing import begin as begin
from tests.fraud.shadowing import challenger as challenger
from tests.fraud.shadowing import ml_admin as ml_admin
from tests.fraud.test_alert_in_browser import looked_at
from tests.fraud.test_alert_in_browser import session as session
from tests.fraud.test_promotion import send_some
from tests.fraud.test_watch import text_of
from tests.radiology.test_in_browser import LOOKS, opened


@pytest.fixture
def desk(client: Client, ml_admin) -> Client:
    client.force_login(ml_admin)
    return client


def test_an_administrator_begins_and_ends_it(desk, challenger, post) -> None:
    address = f"/fraud/shadow/{challenger.pk}/"
    assert "It has never been in shadow" in text_of(desk.get(address))
    said = text_of(desk.post(f"{address}start/", follow=True))
    assert "It decides nothing" in said and "nothing waits" in said
    assert "in shadow" in text_of(desk.get(f"/models/versions/{challenger.pk}/"))
    assert AuditEvent.objects.get(action="shadow.started").actor.startswith("user:")
    desk.post(f"{address}stop/")
    assert "was not in shadow" in text_of(desk.post(f"{address}stop/", follow=True))
    assert ShadowRun.objects.get().end == RunEnd.STOPPED


def test_the_page_shows_where_the_two_differ(desk, challenger, begin, post, serve) -> None:
    begin(challenger)
    serve(Rule(code="large", when="amount_minor > 5000", action="review", text="It is large."))
    post([event(f"p{n}", card_token=f"card-{n}", amount_minor=1000 + 500 * n) for n in range(12)])
    drain_all()
    follow_decisions()
    said = text_of(desk.get(f"/fraud/shadow/{challenger.pk}/"))
    assert "Scored 12" in said and "Where they differ" in said
    found = agreement_of(open_run(), challenger.dataset.site)
    assert f"Same decision {found.same / 12:.1%}" in said
    assert f"Alerts {found.would_be_alerts} instead of {found.alerts}" in said
    chart = desk.get(f"/fraud/shadow/{challenger.pk}/scores.json").json()
    assert sum(len(one["points"]) for one in chart["series"]) == 12
    assert {line["axis"] for line in chart["lines"]} == {"x", "y"}
    by_day = desk.get(f"/fraud/shadow/{challenger.pk}/alerts.json").json()
    totals = {one["name"]: sum(n for _, n in one["points"]) for one in by_day["series"]}
    assert totals == {"alerts": found.alerts, "would have been": found.would_be_alerts}
    assert desk.get(f"/fraud/shadow/{challenger.pk}/nothing.json").status_code == 404


def test_the_alert_says_what_the_challenger_said(client, author, challenger, begin, post) -> None:
    run = begin(challenger)
    send_some(post, count=2)
    client.force_login(author)
    made = Decision.objects.earliest("pk")
    address = f"/fraud/decisions/{made.public_id}/"
    assert "What the challenger said" not in text_of(client.get(address))
    follow_decisions()
    said = text_of(client.get(address))
    told = ShadowScore.objects.get(decision=made, run=run)
    assert "What the challenger said" in said and "Version 2, in shadow" in said
    assert f"{told.score:.2f}" in said


def test_what_it_said_is_not_told_to_the_sender(challenger, begin, post, ask) -> None:
    begin(challenger)
    send_some(post, count=1)
    before = ask("e0").json()
    follow_decisions()
    assert ask("e0").json() == before


@pytest.mark.django_db(transaction=True)
def test_in_the_browser_both_pages_stand_in_every_look(
    challenger, begin, post, author, ml_admin, session, live_server, serve
) -> None:
    begin(challenger)
    serve(Rule(code="large", when="amount_minor > 5000", action="review", text="It is large."))
    post([event(f"p{n}", card_token=f"card-{n % 9}", amount_minor=700 + 400 * n) for n in range(40)])
    drain_all()
    follow_decisions()
    made = Decision.objects.latest("pk")
    places = (
        ("shadow", session(ml_admin), f"/fraud/shadow/{challenger.pk}/", "Where they differ"),
        ("challenger", session(author), f"/fraud/decisions/{made.public_id}/", "What the challenger said"),
    )
    found: list[str] = []
    for width, scheme in LOOKS:
        for name, cookie, address, heading in places:
            with opened(width, scheme) as page:
                page.context.add_cookies([cookie])
                page.goto(live_server.url + address)
                expect(page.get_by_role("heading", name=heading)).to_be_visible()
                expect(page.locator(".plot canvas").first).to_be_visible()
                found += looked_at(page, name, width, scheme)
    assert found == []
