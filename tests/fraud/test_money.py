"""Amounts in one currency by the rate of their day, clocks ahead, and what the sender does with a review."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from apps.core.clock import now
from apps.fraud.common.money import Rate, format_minor, to_reporting_minor
from apps.fraud.common.services import rates
from apps.fraud.models import Decision, FxRate, Source, Transaction
from apps.fraud.wire import wire_types
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_decide_now import decide_now, slow_model, token, warm
from tests.fraud.test_webhook import errors_of

__all__ = ["decide_now", "slow_model", "token", "warm"]
pytestmark = pytest.mark.decision
HEAD = "currency,date,rate\n"


@pytest.fixture
def read(tmp_path):
    def write_and_import(text: str) -> None:
        (tmp_path / "rates.csv").write_text(text)
        call_command("import_fx", file=tmp_path / "rates.csv")

    return write_and_import


def test_minor_units_follow_iso_4217() -> None:
    assert to_reporting_minor(1000, "JPY", Rate(Decimal("0.006"))) == 600
    assert to_reporting_minor(1000, "USD", Rate(Decimal("0.9"))) == 900
    assert to_reporting_minor(1000, "BHD", Rate(Decimal("2.5"))) == 250
    assert to_reporting_minor(1000, "EUR", Rate(Decimal(1))) == 1000
    assert [format_minor(1000, c) for c in ("JPY", "EUR", "BHD")] == ["1,000 JPY", "10.00 EUR", "1.000 BHD"]


def test_half_a_cent_goes_to_the_even_one() -> None:
    assert [to_reporting_minor(n, "USD", Rate(Decimal("0.5"))) for n in (1, 3, 5)] == [0, 2, 2]


def test_the_rate_of_the_day_is_used_and_kept(read, post) -> None:
    read(HEAD + "USD,2026-03-01,0.90\nUSD,2026-03-10,0.80\nUSD,2099-01-01,9\n")
    times = {"before": "2026-02-28", "first": "2026-03-01", "between": "2026-03-09", "after": "2026-03-11"}
    post(
        [
            event(name, currency="USD", amount_minor=1000, occurred_at=f"{day}T12:00:00Z")
            for name, day in times.items()
        ]
    )
    rows = {row.event_id: row for row in Transaction.objects.all()}
    amounts = {name: row.amount_reporting_minor for name, row in rows.items()}
    assert amounts == {"before": 862, "first": 900, "between": 900, "after": 800}
    assert rows["before"].fx_date is None
    assert (rows["between"].fx_rate, rows["between"].fx_date) == (Decimal("0.9"), date(2026, 3, 1))


def test_a_rate_corrected_later_changes_no_earlier_amount(read, post) -> None:
    read(HEAD + "USD,2026-03-01,0.90\n")
    post(event("e1", currency="USD", amount_minor=1000))
    read(HEAD + "USD,2026-03-01,0.50\n")
    post(event("e2", currency="USD", amount_minor=1000))
    assert FxRate.objects.count() == 1
    assert list(Transaction.objects.order_by("pk").values_list("amount_reporting_minor", flat=True)) == [
        900,
        500,
    ]
    for row in Transaction.objects.all():
        again = to_reporting_minor(row.amount_minor, row.currency, Rate(row.fx_rate))
        assert again == row.amount_reporting_minor


def test_without_dates_the_newest_rate_would_be_taken_for_all(read, post, monkeypatch) -> None:
    read(HEAD + "USD,2026-03-01,0.90\nUSD,2026-03-10,0.80\n")
    monkeypatch.setattr(rates, "business_day", lambda at: date.max)
    monkeypatch.setattr("apps.fraud.decide.services.ingest.business_day", lambda at: date.max)
    post(event("e1", currency="USD", amount_minor=1000, occurred_at="2026-03-02T12:00:00Z"))
    assert Transaction.objects.get().amount_reporting_minor == 800


def test_the_day_is_the_houses_own_also_when_clocks_change(settings) -> None:
    from datetime import UTC, datetime

    settings.TIME_ZONE = "Europe/Brussels"
    for at, day in (
        ((2026, 3, 28, 22, 59), 28), ((2026, 3, 28, 23, 0), 29),  # UTC+1
        ((2026, 3, 29, 21, 59), 29), ((2026, 3, 29, 22, 0), 30),  # UTC+2, after a day of 23 hours
        ((2026, 10, 25, 22, 59), 25), ((2026, 10, 25, 23, 0), 26),  # UTC+1, after one of 25
    ):  # fmt: skip
        assert rates.business_day(datetime(*at, tzinfo=UTC)).day == day


@pytest.mark.parametrize(
    "text",
    [
        "currency,rate\nUSD,1\n", HEAD + "XXX,2026-01-01,1\n", HEAD + "EUR,2026-01-01,1\n",
        HEAD + "USD,soon,1\n", HEAD + "USD,2026-01-01,0\n", HEAD + "USD,2026-01-01,NaN\n",
        HEAD + "USD,2026-01-01,1e9\n",
        HEAD + "JPY,2026-01-01,0.006\nUSD,2026-01-01,-1\n", HEAD + "USD\n",
    ],
)  # fmt: skip
def test_a_file_with_a_bad_line_changes_nothing(db, read, text) -> None:
    with pytest.raises(CommandError):
        read(text)
    assert not FxRate.objects.exists()


def test_unknown_money_is_refused_and_a_zero_amount_is_an_account_check(post, ask) -> None:
    for code in ("XXX", "XAU", "ABC", "eur", "DEM"):
        assert errors_of(post(event(currency=code))) == {(0, "currency", "not_iso_4217")}
    assert post(event(amount_minor=0)).status_code == 202
    drain_all()
    assert ask("e1").json()["decision"] == "approve"


def test_five_minutes_ahead_is_taken_and_more_is_not(post, monkeypatch) -> None:
    near, far = now() + timedelta(minutes=4, seconds=30), now() + timedelta(minutes=5, seconds=30)
    assert post(event("near", occurred_at=near.isoformat())).status_code == 202
    assert errors_of(post(event("far", occurred_at=far.isoformat()))) == {(0, "occurred_at", "in_the_future")}
    monkeypatch.setattr(wire_types, "CLOCK_SKEW", timedelta(days=1))
    assert post(event("far", occurred_at=far.isoformat())).status_code == 202


@pytest.mark.parametrize("means", ["approve", "hold", "decline"])
def test_a_review_means_what_the_source_declared(decide_now, means, ask) -> None:
    Source.objects.update(review_means=means)
    made = decide_now(event(amount_minor=300_000)).json()
    assert (made["decision"], made["action"]) == ("review", means)
    assert ask("e1").json()["action"] == means
    assert decide_now(event("e2", card_token="c2")).json()["action"] == "approve"


@pytest.mark.parametrize(
    ("amount", "on_timeout", "action"),
    [
        (100, "approve", "approve"), (100, "hold", "hold"), (100, "decline", "decline"),
        (300_000, "approve", "hold"), (3_000_000, "approve", "decline"),
    ],
)  # fmt: skip
def test_for_want_of_time_at_least_what_the_source_declared(
    slow_model, decide_now, amount, on_timeout, action
) -> None:
    Source.objects.update(on_timeout=on_timeout)
    made = decide_now(event(amount_minor=amount), "60").json()
    assert (made["deadline_hit"], made["action"]) == (True, action)


def test_in_time_the_timeout_rule_says_nothing(warm, decide_now) -> None:
    Source.objects.update(on_timeout="decline")
    made = decide_now(event()).json()
    assert made["deadline_hit"] is False
    assert made["action"] == ("hold" if made["decision"] == "review" else made["decision"])


def test_the_page_says_rate_and_action(read, post, client, make_user) -> None:
    read(HEAD + "USD,2026-03-01,0.90\n")
    post(event(currency="USD", amount_minor=1_000_000))
    drain_all()
    client.force_login(make_user("fraud_analyst"))
    page = client.get(f"/fraud/decisions/{Decision.objects.get().public_id}/").content.decode()
    assert "of 2026-03-01" in page
    assert "hold it until a person has looked" in page
