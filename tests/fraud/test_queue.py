"""The queue's page and doors: ranked, cut by today's capacity, live, taken, left to others and to later."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.models import Action, Alert, Desk, QueueView, Source, WorkItem, WorkMove
from apps.fraud.work.services.budget import set_capacity
from apps.fraud.work.services.gather import gather_alerts
from apps.fraud.work.services.work import close_alerts, take_item
from tests.conftest import PASSWORD
from tests.fraud.conftest import drain_all, event

LARGE = 600_000


@pytest.fixture
def me(make_user) -> User:
    return make_user("fraud_analyst", full_name="Ana Lyst")


@pytest.fixture
def analyst(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


@pytest.fixture
def colleague(site) -> User:
    return User.objects.create_user(
        "second@example.org", PASSWORD, site=site, role="fraud_analyst", full_name="Col League"
    )


@pytest.fixture
def cards(post, source) -> Callable[..., list[WorkItem]]:
    """An item for each amount that is large enough for an alert, a card each, in this order."""

    def make(*amounts: int, first: int = 1) -> list[WorkItem]:
        sent = [
            event(f"e{n}", card_token=f"card-{n:04d}", amount_minor=amount, merchant_id=f"shop-{n}")
            for n, amount in enumerate(amounts, first)
        ]
        assert post(sent).status_code == 202
        drain_all()
        gather_alerts()
        items = {item.card_token: item for item in WorkItem.objects.all()}
        return [items[one["card_token"]] for one in sent if one["card_token"] in items]

    return make


def ids(page: Any) -> list[str]:
    return re.findall(r'<tr data-id="([^"]+)"', page.content.decode())


def shown(items: list[WorkItem]) -> list[str]:
    return [str(item.pk) for item in items]


def live_address(page: Any) -> str:
    found = re.search(r'hx-get="([^"]*/rows/[^"]*)"', page.content.decode())
    assert found
    return html.unescape(found[1])


def test_it_works(analyst, cards) -> None:
    """The most at stake first; the next one locked and its decision opened; the rest is the next."""
    small, large = cards(LARGE, 2 * LARGE)
    page = analyst.get("/fraud/")
    assert ids(page) == shown([large, small])
    text = page.content.decode()
    assert "12,000.00 EUR" in text and "shop-2" in text and "…0002" in text and "card-0002" not in text
    taken = analyst.post("/fraud/next/", {"desk": "loss"})
    assert taken["location"] == f"/fraud/decisions/{large.alerts.get().decision.public_id}/"
    assert analyst.get(taken["location"]).status_code == 200
    assert "you, until" in analyst.get("/fraud/").content.decode()
    taken = analyst.post("/fraud/next/", {"desk": "loss"})
    assert taken["location"] == f"/fraud/decisions/{small.alerts.get().decision.public_id}/"
    assert analyst.post("/fraud/next/", {"desk": "loss"})["location"] == "/fraud/"


def test_an_empty_queue_says_what_comes(analyst) -> None:
    assert "No open alert" in analyst.get("/fraud/").content.decode()
    assert "declined" in analyst.get("/fraud/?show=friction").content.decode()


def test_the_desks_are_apart_and_say_what_is_overdue(analyst, cards) -> None:
    [loss] = cards(LARGE)
    Source.objects.update(review_means=Action.DECLINE)
    [declined] = cards(LARGE, first=2)
    WorkItem.objects.filter(pk=declined.pk).update(due_at=now() - timedelta(minutes=1))
    assert ids(analyst.get("/fraud/")) == shown([loss])
    page = analyst.get("/fraud/?show=friction")
    assert ids(page) == shown([declined])
    assert page.content.decode().count("1 overdue") == 1
    assert ids(analyst.get("/fraud/?show=friction&state=overdue")) == shown([declined])
    assert ids(analyst.get("/fraud/?state=overdue")) == []


def test_todays_capacity_is_a_line_that_reviews_move_up(analyst, cards, me, site) -> None:
    items = cards(*(LARGE + n for n in range(4)))[::-1]
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=2, by=me)
    first, second, *below = shown(items)
    assert ids(analyst.get("/fraud/")) == [first, second, "line", *below]
    take_item(items[0], me)
    with transaction.atomic():
        close_alerts(items[0], [items[0].alerts.get().pk], me)
    assert ids(analyst.get("/fraud/")) == [second, "line", *below]
    assert "1 of 2" in analyst.get("/fraud/standing/").content.decode()
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=1, by=me)
    assert ids(analyst.get("/fraud/")) == ["line", second, *below]
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=50, by=me)
    assert "line" not in ids(analyst.get("/fraud/"))
    assert "All that wait here fit" in analyst.get("/fraud/").content.decode()


def test_an_item_takes_as_many_of_the_day_as_it_has_alerts(analyst, cards, me, site, post) -> None:
    few, many = cards(LARGE, 2 * LARGE)
    post(event("more", card_token="card-0002", amount_minor=LARGE))
    drain_all()
    gather_alerts()
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=2, by=me)
    assert ids(analyst.get("/fraud/")) == [str(many.pk), "line", str(few.pk)]


def test_the_live_part_answers_only_when_something_changed(analyst, cards, colleague) -> None:
    [item] = cards(LARGE)
    address = live_address(analyst.get("/fraud/"))
    assert analyst.get(address).status_code == 204
    take_item(item, colleague)
    answer = analyst.get(address)
    assert answer.status_code == 200 and answer["Cache-Control"] == "no-store"
    assert "Col League, until" in answer.content.decode()
    address = live_address(answer)
    assert analyst.get(address).status_code == 204
    cards(2 * LARGE, first=2)
    assert len(ids(analyst.get(address))) == 2


def test_a_lock_runs_out_in_the_list_by_itself(analyst, cards, colleague) -> None:
    [item] = cards(LARGE)
    take_item(item, colleague)
    address = live_address(analyst.get("/fraud/"))
    WorkItem.objects.update(locked_until=now() - timedelta(seconds=1))
    assert "Col League" not in analyst.get(address).content.decode()


def test_opening_locks_it_and_what_a_colleague_holds_is_looked_at(analyst, cards, me, colleague) -> None:
    [item] = cards(LARGE)
    address = f"/fraud/items/{item.pk}/open/"
    decision = f"/fraud/decisions/{item.alerts.get().decision.public_id}/"
    take_item(item, colleague)
    assert "looking on" in analyst.post(address, follow=True).content.decode()
    assert analyst.post(f"/fraud/items/{item.pk}/hold/").status_code == 409
    assert analyst.post(address, {"over": "1"})["location"] == decision
    assert WorkItem.objects.get().locked_by == me
    assert analyst.post(f"/fraud/items/{item.pk}/hold/").status_code == 204
    assert AuditEvent.objects.filter(action="work.taken_over").exists()
    with transaction.atomic():
        close_alerts(item, [item.alerts.get().pk], me)
    assert analyst.post(address)["location"] == "/fraud/"


def test_opening_leads_to_the_alert_with_the_most_at_stake(analyst, cards, post) -> None:
    [item] = cards(LARGE)
    for name, amount in (("high", 3 * LARGE), ("last", 2 * LARGE)):
        post(event(name, card_token=item.card_token, amount_minor=amount))
    drain_all()
    gather_alerts()
    lead = Alert.objects.get(decision__transaction__event_id="high").decision.public_id
    assert analyst.post(f"/fraud/items/{item.pk}/open/")["location"] == f"/fraud/decisions/{lead}/"


def move(analyst: Client, act: str, *items: WorkItem, **more: Any) -> Any:
    return analyst.post("/fraud/items/move/", {"act": act, "items": [item.pk for item in items], **more})


def test_what_is_put_off_is_out_of_the_list_until_then(analyst, cards, monkeypatch) -> None:
    asleep, awake = cards(2 * LARGE, LARGE)
    assert move(analyst, "snooze", asleep, until="4h").status_code == 302
    assert ids(analyst.get("/fraud/")) == shown([awake])
    assert ids(analyst.get("/fraud/?state=snoozed")) == shown([asleep])
    later = now() + timedelta(hours=5)
    monkeypatch.setattr("apps.fraud.work.queue.now", lambda: later)
    assert ids(analyst.get("/fraud/")) == shown([asleep, awake])
    assert AuditEvent.objects.filter(action="work.snooze", subject=f"item:{asleep.pk}").exists()


@pytest.mark.parametrize("until", ["1h", "4h", "tomorrow", "monday"])
def test_each_time_offered_lies_ahead(analyst, cards, until) -> None:
    [item] = cards(LARGE)
    assert move(analyst, "snooze", item, until=until).status_code == 302
    item.refresh_from_db()
    assert now() < item.snoozed_until <= now() + timedelta(days=7)


def test_what_is_given_is_next_for_them_and_for_nobody_else(analyst, cards, me, colleague) -> None:
    large, small = cards(2 * LARGE, LARGE)
    assert move(analyst, "assign", small, to=colleague.pk, note="you know this shop").status_code == 302
    assert "you know this shop" in analyst.get("/fraud/").content.decode()
    assert ids(analyst.get("/fraud/?state=free")) == shown([large])
    other = Client()
    other.force_login(colleague)
    assert ids(other.get("/fraud/?state=mine")) == shown([small])
    other.post("/fraud/next/")
    small.refresh_from_db()
    assert small.locked_by == colleague
    analyst.post("/fraud/next/")
    assert analyst.post("/fraud/next/")["location"] == "/fraud/"
    User.objects.filter(pk=colleague.pk).update(is_active=False)
    WorkItem.objects.update(locked_by=None, locked_until=None)
    assert len(ids(analyst.get("/fraud/?state=free"))) == 2  # who has left keeps nothing


def test_escalated_with_a_reason_to_somebody_else(analyst, cards, me, colleague) -> None:
    [item] = cards(LARGE)
    take_item(item, me)
    for wrong in ({"to": colleague.pk}, {"note": "why"}, {"to": me.pk, "note": "why"}):
        move(analyst, "escalate", item, **wrong)
    assert not WorkMove.objects.exists()
    assert move(analyst, "escalate", item, to=colleague.pk, note="a ring of cards").status_code == 302
    item.refresh_from_db()
    assert (item.assignee, item.locked_by) == (colleague, None)
    page = analyst.get("/fraud/?state=escalated").content.decode()
    assert "escalated to Col League" in page and "a ring of cards" in page
    kept = WorkMove.objects.get()
    assert (kept.by, kept.to, kept.kind) == (me, colleague, "escalate")


def test_many_are_moved_at_once_but_not_what_a_colleague_works_on(analyst, cards, colleague) -> None:
    items = cards(LARGE, LARGE + 1, LARGE + 2)
    take_item(items[0], colleague)
    page = analyst.post(
        "/fraud/items/move/", {"act": "snooze", "items": shown(items), "until": "1h"}, follow=True
    )
    text = page.content.decode()
    assert "2 cards put off" in text and "Col League is working on this card." in text
    assert WorkMove.objects.count() == 2
    assert (
        "no longer hold"
        in analyst.post(
            "/fraud/items/move/", {"act": "release", "items": shown(items[:1])}, follow=True
        ).content.decode()
    )


@pytest.mark.parametrize(
    "wrong",
    [{"act": "burn"}, {"act": "snooze"}, {"act": "snooze", "until": "1997"}, {"act": "assign", "to": "0"},
     {"act": "assign", "note": "4111 1111 1111 1111"}, {"act": "assign", "note": "x" * 301},
     {"act": "assign", "items": []}, {"act": "assign", "items": ["x"]}],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(analyst, cards, wrong) -> None:
    [item] = cards(LARGE)
    sent = {"items": [item.pk], "show": "friction", **wrong}
    answer = analyst.post("/fraud/items/move/", sent, follow=True)
    assert answer.redirect_chain == [("/fraud/?show=friction", 302)]
    assert "Nothing was changed." in answer.content.decode()
    assert not WorkMove.objects.exists()


def test_another_sites_item_is_not_there(analyst, cards, me) -> None:
    [item] = cards(LARGE)
    WorkItem.objects.update(site=Site.objects.create(slug="south", name="South"))
    assert ids(analyst.get("/fraud/")) == []
    assert move(analyst, "assign", item).status_code == 404
    assert analyst.post(f"/fraud/items/{item.pk}/open/").status_code == 404


def test_it_pages_by_key_whatever_comes_meanwhile(analyst, cards, monkeypatch) -> None:
    monkeypatch.setattr("apps.fraud.work.queue_views.PAGE_ROWS", 2)
    items = cards(LARGE, LARGE, LARGE, LARGE + 1, LARGE + 2)
    order = shown([items[4], items[3], items[2], items[1], items[0]])
    page, listed = analyst.get("/fraud/"), []
    while True:
        listed += ids(page)
        following = re.search(r'rel="next"[^>]*?href="([^"]+)"', page.content.decode(), re.S)
        if not following:
            break
        if len(listed) == 2:
            cards(3 * LARGE, first=9)  # goes before what was seen, and moves nothing
        page = analyst.get("/fraud/" + html.unescape(following[1]))
    assert listed == order
    for key in ("x", "1-", "99999999999999999999-1", "9223372036854775808-1"):
        assert analyst.get(f"/fraud/?after={key}").status_code == 200
    assert analyst.get(f"/fraud/?state=overdue&after={'9' * 19}-1").status_code == 200


def test_filters_that_find_nothing_can_be_cleared(analyst, cards) -> None:
    small, large = cards(LARGE, 3 * LARGE)
    assert ids(analyst.get("/fraud/?at_least=10000")) == shown([large])
    assert "Clear filters" in analyst.get("/fraud/?at_least=99999").content.decode()
    for query in ("state=x", "at_least=NaN", "at_least=-1", "show=%00", "show[]=1"):
        assert ids(analyst.get(f"/fraud/?{query}")) == shown([large, small])


def test_a_view_is_kept_under_a_name_and_a_digit_key(analyst, cards) -> None:
    answer = analyst.post("/fraud/views/", {"name": "Late", "show": "friction", "state": "overdue"})
    assert answer["location"] == "/fraud/?show=friction&state=overdue"
    page = analyst.get("/fraud/").content.decode()
    assert re.search(r'\?show=friction&amp;state=overdue"\s+data-key="1"\s+data-key-label="View: Late"', page)
    assert analyst.post("/fraud/views/", {"name": "None"}).status_code == 422
    view = QueueView.objects.get()
    assert analyst.post(f"/fraud/views/{view.pk}/delete/").status_code == 302
    assert not QueueView.objects.exists()


def test_capacity_is_set_by_an_operator_or_analyst_on_record(analyst, make_user, site) -> None:
    operator = Client()
    operator.force_login(make_user("operator"))
    assert "nobody has set it yet" in operator.get("/fraud/capacity/").content.decode()
    sent = {"desk": "loss", "alerts_per_day": "120"}
    assert operator.post("/fraud/capacity/", sent).status_code == 302
    told = AuditEvent.objects.get(action="capacity.set")
    assert told.detail == {"desk": "loss", "before": 80, "alerts_per_day": 120}
    assert "of 120" in analyst.get("/fraud/").content.decode()
    assert analyst.post("/fraud/capacity/", {**sent, "alerts_per_day": "99"}).status_code == 302
    for wrong in ({"desk": "x"}, {"alerts_per_day": "-1"}, {"alerts_per_day": "5001"}):
        assert analyst.post("/fraud/capacity/", {**sent, **wrong}).status_code == 422


def test_programs_read_the_same_list(analyst, cards, colleague) -> None:
    small, large = cards(LARGE, 2 * LARGE)
    take_item(large, colleague)
    first = analyst.get("/api/v1/work?limit=1").json()
    [told] = first["items"]
    assert (told["id"], told["event_id"], told["card_end"]) == (large.pk, "e2", "…0002")
    assert (told["locked_by"], told["at_stake_minor"]) == ("Col League", large.at_stake_minor)
    second = analyst.get(f"/api/v1/work?limit=1&after={first['next']}").json()
    assert ([one["id"] for one in second["items"]], second["next"]) == ([small.pk], "")
    free = analyst.get("/api/v1/work?state=free").json()["items"]
    assert [one["id"] for one in free] == [small.pk]
    assert analyst.get("/api/v1/work?state=mine").status_code == 422
    assert analyst.get("/api/v1/work?limit=101").status_code == 422
    assert AuditEvent.objects.filter(action="queue.viewed").exists()
