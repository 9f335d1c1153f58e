"""Rules asked of history: the same facts as when deciding, and known labels only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.backtests import backtest as sums
from apps.fraud.backtests.backtest import OF_ALL, OF_SIDE
from apps.fraud.backtests.backtest_figures import figures_of
from apps.fraud.backtests.services import backtests, columns
from apps.fraud.backtests.vectors import Column
from apps.fraud.models import Backtest, BacktestState, Decision, Mode
from apps.fraud.rules.facts import FIELDS
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.backtesting import LARGE, NEW_CARD, ONLINE, begun, of_rule, run
from tests.fraud.backtesting import analyst as analyst
from tests.fraud.backtesting import decided as decided
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_rule_pages import RULE, fields

pytestmark = pytest.mark.decision


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
