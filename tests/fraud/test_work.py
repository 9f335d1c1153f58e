"""Alerts become work, one item a card and desk, and no two analysts hold the same one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from apps.accounts.models import User
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import Action, Alert, Desk, Source, WorkItem
from apps.fraud.work.services import gather, work
from apps.fraud.work.services.gather import gather_alerts, ring_ungathered
from apps.fraud.work.services.work import close_alerts, hold_item, release_item, take_item, take_next
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision


@pytest.fixture
def analyst(make_user) -> User:
    return make_user("fraud_analyst")


@pytest.fixture
def other(site) -> User:
    return User.objects.create_user("other@example.org", site=site, role="fraud_analyst")


@pytest.fixture
def alerts(post, source) -> Callable[..., list[Alert]]:
    """Alerts of review by the built-in rules, an amount each."""
    number = iter(range(1000))

    def make(*amounts: int, card: str = "card-0001") -> list[Alert]:
        sent = [event(f"e{next(number)}", card_token=card, amount_minor=amount) for amount in amounts]
        assert post(sent).status_code == 202
        drain_all()
        gather_alerts()
        found = Alert.objects.filter(decision__transaction__event_id__in=[one["event_id"] for one in sent])
        return list(found.order_by("pk"))

    return make


LARGE = 600_000


def test_it_works(alerts, site, analyst) -> None:
    first = alerts(LARGE, LARGE + 100)
    alerts(LARGE, card="card-0002")
    item = take_next(site=site, desk=Desk.LOSS, user=analyst)
    assert item is not None and item.card_token == "card-0001"
    assert (item.alert_count, item.amount_reporting_minor) == (2, 2 * LARGE + 100)
    assert item.at_stake_minor == sum(alert.at_stake_minor for alert in first)
    with transaction.atomic():
        close_alerts(item, [alert.pk for alert in first], analyst)
    item.refresh_from_db()
    assert item.closed_at is not None and item.locked_by is None
    assert Alert.objects.filter(status="open").count() == 1


def test_what_comes_later_joins_the_cards_item_and_outlives_a_disposition_that_did_not_see_it(
    alerts, site, analyst
) -> None:
    [seen] = alerts(LARGE)
    item = take_next(site=site, desk=Desk.LOSS, user=analyst)
    [unseen] = alerts(LARGE + 100)
    assert unseen.item == seen.item == item
    with transaction.atomic():
        close_alerts(item, [seen.pk], analyst)
    item.refresh_from_db()
    assert item.closed_at is None and item.locked_by is None
    assert (item.alert_count, item.amount_reporting_minor) == (1, LARGE + 100)
    assert item.due_at == unseen.created_at + gather.due_within(Desk.LOSS)


def test_a_card_whose_item_is_closed_gets_another(alerts, site, analyst) -> None:
    [first] = alerts(LARGE)
    item = take_next(site=site, desk=Desk.LOSS, user=analyst)
    with transaction.atomic():
        close_alerts(item, [first.pk], analyst)
    [second] = alerts(LARGE)
    assert second.item != item and second.item.closed_at is None


def test_declined_customers_have_a_desk_of_their_own(alerts, source, site, analyst) -> None:
    Source.objects.update(review_means=Action.DECLINE)
    [alert] = alerts(LARGE)
    assert alert.item.desk == Desk.FRICTION
    assert alert.at_stake_minor == LARGE  # without a score the whole payment is
    assert take_next(site=site, desk=Desk.LOSS, user=analyst) is None


def test_what_the_sweeper_finds_is_gathered(post, source) -> None:
    assert ring_ungathered() == 0
    post([event(amount_minor=LARGE)])
    drain_all()
    assert ring_ungathered() == 1
    gather_alerts()
    assert ring_ungathered() == 0


def test_who_holds_it_keeps_it(alerts, site, analyst, other, monkeypatch) -> None:
    [alert] = alerts(LARGE)
    item = take_next(site=site, desk=Desk.LOSS, user=analyst)
    assert take_next(site=site, desk=Desk.LOSS, user=other) is None
    with pytest.raises(LynceusError) as refused:
        take_item(item, other)
    assert refused.value.code == "item_locked"
    with pytest.raises(LynceusError) as refused, transaction.atomic():
        close_alerts(item, [alert.pk], other)
    assert refused.value.code == "item_not_yours"
    assert hold_item(item, analyst) and not hold_item(item, other)
    take_item(item, other, over=True)
    assert not hold_item(item, analyst)
    release_item(item, other)
    assert take_next(site=site, desk=Desk.LOSS, user=analyst) == item
    later = now() + work.HELD + timedelta(seconds=1)
    monkeypatch.setattr(work, "now", lambda: later)
    assert take_next(site=site, desk=Desk.LOSS, user=other) == item


@pytest.mark.parametrize(
    "changed", [{"snoozed_until": now() + timedelta(days=9)}, {"assignee": "other"}], ids=["snoozed", "given"]
)
def test_what_sleeps_or_is_somebody_elses_is_not_next(alerts, site, analyst, other, changed) -> None:
    alerts(LARGE)
    WorkItem.objects.update(**{name: other if value == "other" else value for name, value in changed.items()})
    assert take_next(site=site, desk=Desk.LOSS, user=analyst) is None


def test_settled_twice_is_refused(alerts, site, analyst) -> None:
    first, _ = alerts(LARGE, LARGE)
    item = take_next(site=site, desk=Desk.LOSS, user=analyst)
    with transaction.atomic():
        close_alerts(item, [first.pk], analyst)
    take_item(item, analyst)
    with pytest.raises(LynceusError) as refused, transaction.atomic():
        close_alerts(item, [first.pk], analyst)
    assert refused.value.code == "alert_settled"
