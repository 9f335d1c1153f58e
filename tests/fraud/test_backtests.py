"""Rules asked of history: the same facts as when deciding, known labels only, slice by slice, to the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud import backtest as sums
from apps.fraud import tasks
from apps.fraud.backtest import OF_ALL, OF_RULE, OF_SIDE
from apps.fraud.backtest_figures import figures_of
from apps.fraud.facts import FIELDS
from apps.fraud.models import Backtest, BacktestState, Decision, Mode
from apps.fraud.services import backtests, columns
from apps.fraud.services.backtests import ring_stalled, start_backtest
from apps.fraud.vectors import Column
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_rule_pages import RULE, fields

pytestmark = pytest.mark.decision
LARGE = {"code": "large", "when": "amount_minor >= 2000", "action": "review", "text": "x", "value": "",
         "baseline": "", "shadow": False}  # fmt: skip
ONLINE = {**LARGE, "code": "online", "when": 'channel == "ecom"', "action": "decline"}
NEW_CARD = {**LARGE, "code": "new_card", "when": "card_history == 0 and amount_minor > 0"}


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.fixture
def decided(post) -> None:
    """Two frauds, one of them caught by both rules; one good payment stopped; two of which nobody spoke."""
    at = now() - timedelta(minutes=50)
    payments = [
        ("fraud-both", 5000, "ecom"), ("fraud-small", 100, "pos"), ("good-large", 3000, "pos"),
        ("unknown-online", 900, "ecom"), ("unknown-small", 200, "pos"),
    ]  # fmt: skip
    post([
        event(name, amount_minor=amount, channel=channel, card_token=f"card-{name}",
              occurred_at=(at + timedelta(minutes=place)).isoformat())
        for place, (name, amount, channel) in enumerate(payments)
    ])  # fmt: skip
    drain_all()
    said = [{"event_id": name, "fraud": name.startswith("fraud"), "source": "issuer"}
            for name, _, _ in payments if not name.startswith("unknown")]  # fmt: skip
    # First taken for good, then for fraud: the last word holds.
    post([{"event_id": "fraud-both", "fraud": False, "source": "cardholder"}], door="labels")
    assert post(said, door="labels").status_code == 202


def run(backtest: Backtest) -> Backtest:
    tasks.run_backtest(backtest.pk)
    backtest.refresh_from_db()
    return backtest


def begun(site, author, *rules: dict[str, Any], days: int = 90) -> Backtest:
    return start_backtest(site=site, by=author, rules=rules, version=None, days=days)


def of_rule(backtest: Backtest, row: int = 0) -> dict[str, int]:
    return dict(zip(OF_RULE, backtest.tally["rules"][row], strict=True))


def test_it_works(analyst, decided, author) -> None:
    """From the editor, without saving; its page has the figures and leads back to the draft."""
    rule = {
        **RULE,
        "code": "large",
        "when": "amount_minor >= 2000",
        "action": "review",
        "value": "",
        "text": "x",
    }
    asked = analyst.post("/fraud/rules/new/", fields(rule, do="backtest", days="30"))
    backtest = Backtest.objects.get()
    address = f"/fraud/rules/backtests/{backtest.public_id}/"
    assert asked.url == address
    assert 'hx-trigger="every 1s"' in analyst.get(address).content.decode()
    run(backtest)
    page = analyst.get(address).content.decode()
    assert "hx-trigger" not in page
    for text in ("Caught", "Missed", "False positives", "50.00 EUR", "30.00 EUR", "50.0"):
        assert text in page, text
    draft = analyst.get(f"/fraud/rules/new/?backtest={backtest.public_id}").content.decode()
    assert "amount_minor &gt;= 2000" in draft
    assert "A draft" in analyst.get("/fraud/rules/backtests/").content.decode()
    assert AuditEvent.objects.get(action="rules.backtested").detail["days"] == 30


def test_each_rule_is_measured_by_known_labels_alone(site, author, decided) -> None:
    done = run(begun(site, author, LARGE, ONLINE))
    large, online = of_rule(done), of_rule(done, 1)
    assert done.state == BacktestState.DONE
    assert (large["fired"], large["caught"], large["missed"], large["false_alarms"], large["unknown"]) == (
        2, 1, 1, 1, 0,
    )  # fmt: skip
    assert (large["caught_minor"], large["missed_minor"], large["false_alarms_minor"]) == (5000, 100, 3000)
    assert (online["fired"], online["caught"], online["false_alarms"], online["unknown"]) == (2, 1, 0, 1)
    whole = dict(zip(OF_ALL, done.tally["whole"], strict=True))
    assert whole == {
        "payments": 5, "frauds": 2, "fraud_minor": 5100, "good": 1, "unknown": 2, "without_model": 5,
    }  # fmt: skip


def test_the_unknown_would_be_good_if_it_were_counted(site, author, decided, monkeypatch) -> None:
    """Sabotage: silence taken for a word makes a perfect rule look half as good."""
    whole = columns.read_slice

    def silence_is_good(*args: Any) -> Any:
        found = whole(*args)
        found.labels[found.labels == -1] = 0
        return found

    monkeypatch.setattr(backtests, "read_slice", silence_is_good)
    assert of_rule(run(begun(site, author, ONLINE)))["false_alarms"] == 1


def test_overlap_with_the_model_and_between_rules(site, author, decided) -> None:
    Decision.objects.filter(transaction__event_id__in=["fraud-both", "good-large"]).update(
        mode="full",
        score=0.9,
        model_version=1,
        review_threshold=0.5,
        decline_threshold=0.95,
        artefact_hash="x",
    )
    done = run(begun(site, author, LARGE, ONLINE, {**ONLINE, "code": "shadowed", "shadow": True}))
    large, online = of_rule(done), of_rule(done, 1)
    assert (large["with_model"], large["caught_alone"]) == (2, 0)
    assert (online["with_model"], online["caught_alone"]) == (1, 0)
    figures = figures_of(done)
    pair = next(one for one in figures.pairs if {one.one["code"], one.other["code"]} == {"large", "online"})
    assert (pair.payments, pair.frauds, pair.share) == (1, 1, 0.5)
    sides = {title: dict(sums) for title, sums in figures.sides}
    assert (sides["model alone"]["alerts"], sides["model alone"]["declines"]) == (2, 0)
    ours = sides["model and these rules"]
    shown = ("alerts", "declines", "caught", "good_alerts", "unknown_alerts")
    assert [ours[name] for name in shown] == [3, 2, 1, 1, 1]
    assert set(ours) == set(OF_SIDE)


def test_all_fields_are_what_they_are_when_deciding(site, champion, post) -> None:
    """Of each field: as PostgreSQL packs it, and as the rules are shown it, one event at a time."""
    if connection.vendor != "postgresql":
        assert columns.read_slice(site, 0, 2**40, ["hour"]).n == 0
        return
    at = now() - timedelta(hours=3)
    card = {"card_token": "card-7", "entry_mode": "chip", "channel": "pos"}

    def after(minutes: int) -> str:
        return (at + timedelta(minutes=minutes)).isoformat()

    post([
        event("a", **card, country="BE", occurred_at=at.isoformat(), amount_minor=100),
        event("b", **card, country="FR", amount_minor=1200, occurred_at=after(5)),
        event("c", **card, country="DE", amount_minor=1300, occurred_at=after(12),
              ip="10.0.0.1", device_id="dev", bin="41111111", issuer_country="BE", currency="JPY",
              three_ds={"version": "2.2.0", "eci": "05", "liability_shift": True}),
        event("d", card_token="card-7", amount_minor=1400, channel="ecom", entry_mode="ecommerce",
              type="advice", occurred_at=after(30), merchant_id='say "so", \\ é'),
        event("e", **card, country="BE", amount_minor=1500, occurred_at=after(-30)),
        event("f", card_token="card-8", amount_minor=1600, occurred_at=after(-57_600)),
    ])  # fmt: skip
    drain_all()
    last = Decision.objects.order_by("-pk").values_list("pk", flat=True)[0]
    packed, told = (read(site, 0, last, list(FIELDS)) for read in (columns._packed, columns._by_facts))
    assert (packed.n, told.n) == (6, 6)
    order, other = (np.argsort(one.columns["original_amount_minor"].values) for one in (packed, told))
    for name in FIELDS:
        ours, theirs = packed.columns[name], told.columns[name]
        if name in FEATURE_NAMES:  # kept as float32; of a card never seen the facts make them anew
            theirs = Column(theirs.values.astype(np.float32))
        assert _plain(ours, order) == _plain(theirs, other), name
    for name in ("seen", "with_history", "amounts", "labels", "scores", "by_model", "made", "advice"):
        assert getattr(packed, name)[order].tolist() == getattr(told, name)[other].tolist(), name
    assert set(_plain(packed.columns["other_country_1h"], order)) == {"", "BE", "DE"}


def _plain(column: Column, order: Any) -> list[Any]:
    values = column.values if column.words is None else column.texts
    return values[order].tolist()


def test_where_what_the_model_saw_is_gone_a_rule_that_looks_at_it_is_not_asked(
    site, author, champion, post
) -> None:
    post([event("kept", card_token="card-a"), event("pruned", card_token="card-b")])
    drain_all()
    Decision.objects.get(transaction__event_id="pruned").evidence.delete()
    done = run(begun(site, author, NEW_CARD, LARGE))
    assert (of_rule(done)["asked"], of_rule(done)["fired"]) == (1, 1)
    assert of_rule(done, 1)["asked"] == 2
    assert figures_of(done).not_asked


BLIND = [
    NEW_CARD,
    {**NEW_CARD, "code": "says_so", "when": "has_state and card_history == 0"},
    {**NEW_CARD, "code": "without", "when": "not has_state"},
]


@pytest.fixture
def half_blind(champion, post) -> None:
    """Two cards nobody has seen before; of one the history was not read."""
    post([event("read", card_token="card-a"), event("blind", card_token="card-b")])
    drain_all()
    blind = Decision.objects.filter(transaction__event_id="blind")
    blind.update(mode=Mode.NO_STATE, mode_reason="state_busy")


def test_what_was_decided_without_the_history_is_no_answer_of_it(site, author, half_blind, analyst) -> None:
    """A rule that says what it wants there is asked all the same."""
    done = run(begun(site, author, *BLIND))
    told = [(of_rule(done, row)["asked"], of_rule(done, row)["fired"]) for row in range(3)]
    assert told == [(1, 1), (2, 1), (2, 1)]
    page = " ".join(analyst.get(f"/fraud/rules/backtests/{done.public_id}/").content.decode().split())
    assert "1 payment was decided without the card's history" in page
    assert figures_of(run(begun(site, author, LARGE))).without_history == 0


def test_taken_for_history_it_would_look_like_a_new_card(site, author, half_blind, monkeypatch) -> None:
    """Sabotage: what is kept is what was read."""
    monkeypatch.setattr(sums, "_asked", lambda found, _: found.seen)
    assert of_rule(run(begun(site, author, NEW_CARD)))["fired"] == 2


def test_sums_of_before_it_was_counted_are_still_read(site, author, decided) -> None:
    done = run(begun(site, author, LARGE))
    done.tally.pop("without_history")
    assert figures_of(done).without_history == 0


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
