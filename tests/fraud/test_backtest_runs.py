"""A backtest on its way: slice by slice, each counted once, stopped, cut off and gone on with, to the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.fraud.backtests.services import backtests
from apps.fraud.backtests.services.backtests import ring_stalled
from apps.fraud.models import Backtest, BacktestState, Decision
from tests.fraud.backtesting import LARGE, ONLINE, begun, run
from tests.fraud.backtesting import analyst as analyst
from tests.fraud.backtesting import decided as decided
from tests.fraud.test_rule_pages import RULE, fields

pytestmark = pytest.mark.decision


def test_slice_after_slice_comes_to_the_same(site, author, decided, monkeypatch) -> None:
    whole = run(begun(site, author, LARGE, ONLINE)).tally
    monkeypatch.setattr(backtests, "STEP", 2)
    assert run(begun(site, author, LARGE, ONLINE)).tally == whole


def test_a_bell_works_for_some_seconds_and_the_next_goes_on(
    site, author, decided, monkeypatch, django_capture_on_commit_callbacks
) -> None:
    monkeypatch.setattr(backtests, "STEP", 2)
    rung: list[tuple[Any, ...]] = []
    monkeypatch.setattr(backtests, "ring", lambda *given: rung.append(given))
    backtest = begun(site, author, LARGE)
    assert rung == [(backtests.TASK, backtest.pk)]
    monkeypatch.setattr(backtests, "ROUND_S", -1.0)
    assert run(backtest).at_id == backtest.first_id
    assert len(rung) == 2
    monkeypatch.setattr(backtests, "ROUND_S", 15.0)
    assert run(backtest).state == BacktestState.DONE


def test_a_slice_counts_once_whoever_works_on_it(site, author, decided) -> None:
    backtest = begun(site, author, LARGE)
    rules = backtests.tested(backtest.rules)
    first, second = (Backtest.objects.select_related("site").get(pk=backtest.pk) for _ in range(2))
    assert backtests._advance(first, rules)
    assert not backtests._advance(second, rules)
    backtest.refresh_from_db()
    assert backtest.tally["whole"][0] == 5


def test_cancelled_it_stops_where_it_is(analyst, site, author, decided, monkeypatch) -> None:
    monkeypatch.setattr(backtests, "STEP", 2)
    backtest = begun(site, author, LARGE)
    advance = backtests._advance

    def cancelled_meanwhile(*given: Any) -> bool:
        kept = advance(*given)
        if given[0].at_id == backtest.first_id + 2:
            assert analyst.post(f"/fraud/rules/backtests/{backtest.public_id}/cancel/").status_code == 302
        return kept

    monkeypatch.setattr(backtests, "_advance", cancelled_meanwhile)
    run(backtest)
    assert (backtest.state, backtest.at_id) == (BacktestState.CANCELLED, backtest.first_id + 2)
    page = analyst.get(f"/fraud/rules/backtests/{backtest.public_id}/").content.decode()
    assert "Cancelled at" in page
    assert analyst.post(f"/fraud/rules/backtests/{backtest.public_id}/cancel/").status_code == 409


def test_what_nobody_moves_is_rung_for_once_a_while(site, author, decided, monkeypatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(backtests, "ring", lambda *given: rung.append(given))
    backtest = begun(site, author, LARGE)
    rung.clear()
    assert ring_stalled() == 0
    Backtest.objects.update(moved_at=now() - timedelta(minutes=2))
    assert (ring_stalled(), ring_stalled()) == (1, 0)
    assert rung == [(backtests.TASK, backtest.pk)]


def test_a_fault_on_the_way_is_said(analyst, site, author, decided, monkeypatch) -> None:
    monkeypatch.setattr(backtests, "read_slice", lambda *_: 1 / 0)
    backtest = run(begun(site, author, LARGE))
    page = analyst.get(f"/fraud/rules/backtests/{backtest.public_id}/").content.decode()
    assert "It could not be worked out: ZeroDivisionError." in page
    gone = run(begun(site, author, {**LARGE, "when": "a_feature_of_old > 1"}))
    assert (gone.state, gone.fault[:30]) == (BacktestState.FAILED, "A rule can no longer be said: ")


def test_no_more_than_some_at_once(analyst, site, author, decided) -> None:
    for _ in range(backtests.RUNNING_MAX):
        begun(site, author, LARGE)
    refused = analyst.post("/fraud/rules/1/backtest/", {"days": "30"})
    assert refused.status_code == 409
    assert Backtest.objects.count() == backtests.RUNNING_MAX
    again = analyst.post("/fraud/rules/new/", fields(RULE, do="backtest", days="30"))
    assert (again.status_code, "wait for one" in again.content.decode()) == (422, True)


def test_only_the_days_that_are_asked_for(site, author, decided) -> None:
    Decision.objects.filter(transaction__event_id="fraud-both").update(decided_at=now() - timedelta(days=20))
    assert run(begun(site, author, LARGE, days=7)).tally["whole"][0] == 4
    assert run(begun(site, author, LARGE, days=30)).tally["whole"][0] == 5


def test_nothing_decided_is_done_at_once(analyst, site) -> None:
    started = analyst.post("/fraud/rules/1/backtest/", {"days": "7"}, follow=True)
    assert "Nothing was decided in that time" in started.content.decode()
    assert analyst.post("/fraud/rules/1/backtest/", {"days": "8"}).status_code == 302
    assert Backtest.objects.count() == 1


def test_another_sites_is_not_found_and_not_counted(site, author, decided) -> None:
    other = Site.objects.create(slug="south", name="South")
    person = User.objects.create_user("a@b.example", site=other, role="fraud_analyst")
    stranger = Client()
    stranger.force_login(person)
    theirs = begun(site, author, LARGE)
    for door in ("", "progress/"):
        assert stranger.get(f"/fraud/rules/backtests/{theirs.public_id}/{door}").status_code == 404
    assert stranger.post(f"/fraud/rules/backtests/{theirs.public_id}/cancel/").status_code == 404
    assert stranger.get(f"/fraud/rules/backtests/{uuid4()}/").status_code == 404
    assert stranger.get(f"/fraud/rules/new/?backtest={theirs.public_id}").status_code == 200
    assert run(begun(other, person, LARGE)).tally["whole"][0] == 0
