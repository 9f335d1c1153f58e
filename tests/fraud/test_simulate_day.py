"""A day with attacks in it, played through the signed doors: what each wave is, and that it arrives."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from apps.fraud.management.commands import simulate_day
from apps.fraud.models import Decision, FraudLabel, Transaction
from apps.fraud.wire.playing import Sender
from ml.fraud.day import day_of
from tests.fraud.conftest import drain_all

START = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def day() -> pd.DataFrame:
    return day_of(n_customers=300, start=START, seed=5)


class Clock:
    """Stands in for the module `time`: what waits, waits no time."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def time(self) -> float:
        return 1.0

    def time_ns(self) -> int:
        return 1


@pytest.fixture
def play(post, monkeypatch) -> Any:
    monkeypatch.setattr(simulate_day, "time", Clock())
    monkeypatch.setattr(Sender, "__init__", lambda self, options: setattr(self, "_client", None))
    monkeypatch.setattr(Sender, "__exit__", lambda *_: None)
    monkeypatch.setattr(Sender, "post", lambda self, door, rows: send(door, rows))

    def send(door: str, rows: list[dict[str, Any]]) -> None:
        answer = post(rows, door=door)
        if answer.status_code != 202:
            raise CommandError(answer.content.decode())

    return lambda **options: call_command("simulate_day", **options)


def test_it_works(play, capsys) -> None:
    play(rate=1.0, speed=600.0, seed=7)
    sent = Transaction.objects.count()
    assert f"Sent {sent} events of 1 day." in capsys.readouterr().out
    assert sent > 150
    drain_all()
    assert Decision.objects.count() == sent
    told = Counter(FraudLabel.objects.order_by().values_list("source", "fraud"))
    assert set(told) == {("cardholder", True), ("cardholder", False)}
    stored = Transaction.objects.order_by("occurred_at")
    assert stored.last().occurred_at <= stored.last().received_at


def test_the_same_seed_makes_the_same_day(day) -> None:
    again = day_of(n_customers=300, start=START, seed=5)
    pd.testing.assert_frame_equal(day, again)
    assert not day.equals(day_of(n_customers=300, start=START, seed=6))


def wave(day: pd.DataFrame, name: str) -> pd.DataFrame:
    return day[day["scenario"] == name]


def test_card_testing_is_many_cards_at_one_merchant_for_cents(day) -> None:
    found = wave(day, "card_testing_wave")
    assert found["card_token"].nunique() >= 50 and found["merchant_id"].nunique() == 1
    small = found[found["amount_minor"] < 300]
    assert (small["occurred_at"].max() - small["occurred_at"].min()) <= pd.Timedelta(minutes=30)
    assert found["device_id"].nunique() <= 3 and (found["amount_minor"] > 10_000).any()


def test_stolen_cards_are_spent_within_the_hour(day) -> None:
    found = wave(day, "stolen_card_burst").groupby("card_token")
    assert len(found) == 12
    assert (found.size() >= 4).all()
    assert ((found["occurred_at"].max() - found["occurred_at"].min()) <= pd.Timedelta(hours=1.2)).all()


def test_an_account_that_is_taken_over_pays_from_a_new_device_abroad(day) -> None:
    found = wave(day, "account_takeover")
    assert not set(found["device_id"]) & set(day.loc[day["fraud"] == 0, "device_id"])
    assert (found["country"] != "BE").all()
    for _, rows in found.groupby("card_token"):
        assert rows.sort_values("occurred_at")["amount_minor"].is_monotonic_increasing


def test_cards_of_one_terminal_draw_cash_abroad_after_they_paid_there(day) -> None:
    found = wave(day, "copied_at_terminal")
    cards = set(found["card_token"])
    noon = day["occurred_at"] < START + pd.Timedelta(hours=12)
    paid = day[(day["channel"] == "pos") & noon].groupby("terminal_id")["card_token"]
    assert len(cards) > 1 and any(cards <= set(those) for _, those in paid)
    assert (found["channel"] == "atm").all() and (found["entry_mode"] == "magstripe").all()
    assert found["occurred_at"].min() > START + pd.Timedelta(hours=18)


def test_no_payment_lies_after_the_day(day) -> None:
    assert day["occurred_at"].between(START, START + pd.Timedelta(days=1), inclusive="left").all()


def test_it_says_what_is_asked_too_much() -> None:
    with pytest.raises(CommandError, match="The rate lies above 0"):
        call_command("simulate_day", rate=0)
    with pytest.raises(CommandError, match="the speed between"):
        call_command("simulate_day", speed=99_999)


def test_a_server_that_says_no_ends_it_and_patience_goes_on(play, monkeypatch, capsys) -> None:
    said: list[str] = []

    def refuse_once(self: Sender, door: str, rows: list[dict[str, Any]]) -> None:
        said.append(door)
        if len(said) == 1:
            raise CommandError("The server answered 503.")

    monkeypatch.setattr(Sender, "post", refuse_once)
    with pytest.raises(CommandError, match="503"):
        play(rate=0.5, speed=86_400.0, seed=7)
    said.clear()
    play(rate=0.5, speed=86_400.0, seed=7, patient=True)
    assert said[0] == said[1] == "transactions"
    assert "Trying again" in capsys.readouterr().err


def test_it_finds_the_running_demo_and_says_so_where_there_is_none(settings, tmp_path, monkeypatch) -> None:
    settings.VAR_DIR = tmp_path
    monkeypatch.delenv("LYNCEUS_WEBHOOK_SECRET", raising=False)
    with pytest.raises(CommandError, match="No demo runs here"):
        call_command("simulate_day")
    told = {"base_url": "http://127.0.0.1:1", "webhook": {"source": "s", "secret": "whsec_AAAA"}}
    (tmp_path / "demo.json").write_text(json.dumps(told))
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("simulate_day", rate=0.2, speed=86_400.0)
