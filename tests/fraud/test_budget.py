"""What more reviews a day would bring: from held-out days and matured alerts, or not at all, and said so."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.core.clock import now
from apps.fraud.models import Alert, Desk, DeskBudget, FraudLabel, OperatingPoint
from apps.fraud.work.services.budget import MATURE, ring_stale_budgets, set_capacity, work_out_budgets
from tests.fraud.queued import fill


@pytest.fixture
def me(make_user) -> User:
    return make_user("fraud_analyst")


@pytest.fixture
def analyst(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


@pytest.fixture
def past(source) -> datetime:
    """Three alerts on each of eight days that are old enough; the least at stake of each day is fraud."""
    fill(source, cards=24)
    first = now() - MATURE - timedelta(days=8)
    for number, alert in enumerate(Alert.objects.select_related("decision").order_by("pk")):
        at = first + timedelta(days=number // 3, hours=number % 3)
        Alert.objects.filter(pk=alert.pk).update(created_at=at)
        if number % 3 == 0:
            FraudLabel.objects.create(
                transaction_id=alert.decision.transaction_id, fraud=True, source="chargeback", known_at=at,
                received_at=at,
            )  # fmt: skip
    return first


def page(analyst: Client) -> str:
    return " ".join(analyst.get("/fraud/standing/").content.decode().split())


def budgeted(site, me, per_day: int) -> None:
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=per_day, by=me)
    work_out_budgets()


def test_it_works(analyst, past, site, me) -> None:
    """The third of each day: 1000, 1003, ... 1021 minor units."""
    budgeted(site, me, 2)
    assert "Budget 2 → 3 a day" in page(analyst)
    assert "<strong>+10.10 EUR</strong> of fraud caught a day" in page(analyst)
    assert "8 days of this site's own matured alerts" in page(analyst).replace("&#x27;", "'")
    found = DeskBudget.objects.get(desk=Desk.LOSS).figures["recent"]
    assert 1000 <= found["low_minor"] < 1010.5 < found["high_minor"] <= 1021


def test_what_is_newest_said_counts(analyst, past, site, me) -> None:
    for label in list(FraudLabel.objects.all()):
        FraudLabel.objects.create(
            transaction=label.transaction, fraud=False, source="analyst", known_at=now(), received_at=now()
        )
    budgeted(site, me, 2)
    assert "+0.00 EUR" in page(analyst)


def test_where_every_alert_is_reviewed_already_more_brings_nothing_and_that_is_said(
    analyst, past, site, me
) -> None:
    budgeted(site, me, 3)
    assert "No such day had more alerts than are reviewed: 3.0 in the mean." in page(analyst)


def test_where_nothing_is_known_nothing_is_claimed(analyst, past, site, me) -> None:
    FraudLabel.objects.all().delete()
    budgeted(site, me, 2)
    assert "No alert with a known truth is older than 60 days." in page(analyst)
    assert "No model is in service." in page(analyst)
    assert "+" not in page(analyst)


def test_recent_alerts_whose_truth_may_still_come_are_left_out(analyst, past, site, me) -> None:
    Alert.objects.update(created_at=now() - MATURE + timedelta(hours=1))
    budgeted(site, me, 2)
    assert "No alert with a known truth" in page(analyst)


def test_held_out_days_of_the_champion_at_the_thresholds_in_service(
    analyst, source, champion, site, me, monkeypatch
) -> None:
    monkeypatch.setattr("ml.fraud.budget.DAYS_MIN", 2)  # the small champion has few
    budgeted(site, me, 0)
    found = DeskBudget.objects.get(desk=Desk.LOSS).figures["held_out"]
    assert (found["version"], found["n_days"] >= 2) == (1, True)
    assert "of version 1" in page(analyst)
    before = found["per_day"]
    OperatingPoint.objects.create(
        site=site, version=champion, method="cost", review=0.0, decline=1.0, asked={}, came_to={}, note="x",
        by=me, at=now(),
    )  # fmt: skip
    assert ring_stale_budgets() == 1
    work_out_budgets()
    assert DeskBudget.objects.get(desk=Desk.LOSS).figures["held_out"]["per_day"] > before


def test_figures_are_of_the_capacity_that_holds_or_not_shown(analyst, past, site, me) -> None:
    budgeted(site, me, 2)
    assert ring_stale_budgets() == 0
    set_capacity(site=site, desk=Desk.LOSS, alerts_per_day=1, by=me)
    assert "being worked out" in page(analyst)
    assert ring_stale_budgets() == 1
    assert work_out_budgets() == 1
    assert "Budget 1 → 2" in page(analyst) and "being worked out" not in page(analyst)
    DeskBudget.objects.update(worked_out_at=now() - timedelta(hours=7))
    assert work_out_budgets() == len(Desk)
