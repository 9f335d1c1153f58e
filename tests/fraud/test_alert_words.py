"""What the alert page says in words: the sentence, the issuer's answers, whose loss it is, the values."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.fraud.alerts.alert_charts import amounts_chart, places_chart
from apps.fraud.alerts.card_events import CardEvents
from apps.fraud.alerts.issuer import answers_of
from apps.fraud.alerts.liability import bears_loss, money_left
from apps.fraud.alerts.linked import Linked
from apps.fraud.alerts.reason_values import SAID, added_up
from apps.fraud.alerts.story import story_of
from apps.fraud.models import Action, Decision, EventType, Transaction
from ml.fraud.reasons import GROUPS

AT = datetime(2026, 5, 4, 3, 12, tzinfo=UTC)
BRUSSELS, BANGKOK = {"latitude": 50.85, "longitude": 4.35}, {"latitude": 13.75, "longitude": 100.5}


def paid(number: int = 99, ago: timedelta = timedelta(0), **changes: Any) -> Transaction:
    given = {
        "id": number, "type": "authorization", "occurred_at": AT - ago, "card_token": "c",
        "amount_minor": 3700,
        "amount_reporting_minor": 3700, "currency": "EUR", "merchant_id": "m1", "terminal_id": "t1",
        "country": "BE", "entry_mode": "chip", "channel": "pos", "status": "pending", **changes,
    }  # fmt: skip
    if "amount_minor" in changes:
        given["amount_reporting_minor"] = changes["amount_minor"]
    return Transaction(**given)


def earlier(*changes: dict[str, Any]) -> tuple[Transaction, ...]:
    """A payment a day, the last yesterday, each as the others but for its changes."""
    return tuple(
        paid(number, timedelta(days=len(changes) - number), **one) for number, one in enumerate(changes)
    )


def told(
    this: Transaction, *before: Transaction, after: tuple[Transaction, ...] = (), **linked: Linked
) -> str:
    return story_of(Decision(transaction=this, mode="full"), CardEvents(this, before, after), linked, [])


def frauds(kind: str, days_ago: int) -> Linked:
    return Linked(
        kind, "x", events=9, cards=5, frauds=2, last_fraud_at=AT - timedelta(days=days_ago), before=AT
    )


def test_it_works() -> None:
    """The example of the design page, clause by clause."""
    usual = earlier(*[{"device_id": "d1"}] * 5)
    burst = [paid(90 + n, timedelta(minutes=minutes), device_id="d1") for n, minutes in enumerate((4, 2))]
    this = paid(amount_minor=40_700 + 1000, device_id="d2")
    said = told(this, *usual, *burst, terminal=frauds("terminal", 3))
    assert said == (
        "11x this card's usual (37.00 EUR); third payment in 4 min from a new device; "
        "terminal had fraud last week."
    )


def test_what_is_like_the_others_is_said_to_be() -> None:
    assert told(paid(), *earlier({}, {}, {})) == "Nothing of what is looked at here stands out."


@pytest.mark.parametrize(
    ("this", "before", "says"),
    [
        (paid(), (), "First payment seen of this card."),
        (paid(country="TH"), earlier({}, {}, {}), "First time in TH."),
        (paid(merchant_id="m9"), earlier({}, {}), "First time at this merchant."),
        (paid(device_id="d2"), earlier({"device_id": "d1"}), "From a new device."),
        (paid(cvv_result="N"), earlier({}, {}), "Security code (CVV): does not match."),
        (
            paid(**BANGKOK), (paid(1, timedelta(minutes=125), **BRUSSELS),),
            "9,250 km from its last place 2 h before, which nobody travels.",
        ),
    ],
)  # fmt: skip
def test_each_thing_out_of_the_ordinary_is_said(this, before, says) -> None:
    assert told(this, *before) == says


def test_a_rule_speaks_first_and_frauds_of_long_ago_are_dated() -> None:
    this = paid()
    events = CardEvents(this, earlier({}, {}, {}), ())
    said = story_of(
        Decision(transaction=this, mode="rules_only"), events, {"card": frauds("card", 20)},
        [{"text": "Amount is above the limit."}],
    )  # fmt: skip
    assert said == "Amount is above the limit; card had fraud in the last 30 days."


def test_who_flies_is_not_impossible() -> None:
    this = paid(**BANGKOK)
    assert "nobody travels" not in told(this, paid(1, timedelta(hours=11), **BRUSSELS))


def test_places_and_amounts_become_charts_with_their_numbers() -> None:
    this = paid(**BANGKOK)
    events = CardEvents(
        this, (paid(1, timedelta(hours=5), **BRUSSELS), paid(2, timedelta(hours=1), **BRUSSELS)), ()
    )
    places = places_chart(events)
    assert [series["name"] for series in places["series"]] == ["places", "impossible speed", "this payment"]
    assert places["series"][1]["points"][:2] == [(4.35, 50.85), (100.5, 13.75)]
    assert "km/h: impossible" in places["table"]["rows"][0][3]
    amounts = amounts_chart(events, 3700)
    assert amounts["lines"] == [{"name": "usual", "axis": "y", "value": 37.0}]
    assert [row[2] for row in amounts["table"]["rows"]] == ["37.00 EUR"] * 3


def test_where_no_place_was_sent_no_speed_is_made_up() -> None:
    events = CardEvents(paid(country="TH"), (paid(1, timedelta(minutes=9)),), ())
    assert events.moves() == {}
    assert places_chart(events)["series"] == []


THREE_DS = {"trans_status": "Y", "eci": "05", "liability_shift": True}
WEB = {"channel": "ecom", "entry_mode": "ecommerce"}


@pytest.mark.parametrize(
    ("changes", "short"),
    [
        (WEB | {"three_ds": THREE_DS}, "The issuer"),
        (WEB | {"three_ds": {"trans_status": "A", "eci": "06"}}, "The issuer"),
        (WEB | {"three_ds": THREE_DS | {"liability_shift": False}}, "The merchant"),
        (WEB | {"three_ds": {"trans_status": "N"}}, "The merchant"),
        (WEB | {"sca_exemption": "tra"}, "The merchant"),
        (WEB, "The merchant"),
        ({"channel": "moto", "entry_mode": "manual"}, "The merchant"),
        ({}, "The issuer"),
        ({"entry_mode": "contactless"}, "The issuer"),
        ({"channel": "atm"}, "The issuer"),
        ({"entry_mode": "magstripe"}, "Not known"),
        ({"entry_mode": "manual"}, "The merchant"),
        ({"channel": "unknown", "entry_mode": "unknown"}, "Not known"),
        ({"auth_response": "51"}, "Nobody"),
    ],
)
def test_who_bears_the_loss(changes, short) -> None:
    assert bears_loss(paid(**changes)).short == short


@pytest.mark.parametrize(
    ("changes", "action", "back", "short"),
    [
        ({}, Action.APPROVE, (), "On its way"),
        ({}, Action.HOLD, (), "Not yet"),
        ({}, Action.DECLINE, (), "No"),
        ({"auth_response": "05"}, Action.APPROVE, (), "No"),
        ({"type": EventType.ADVICE}, Action.HOLD, (), "Yes"),
        ({"channel": "atm"}, Action.APPROVE, (), "Yes"),
        ({}, Action.APPROVE, (paid(type=EventType.REVERSAL),), "No"),
        ({}, Action.APPROVE, (paid(type=EventType.REFUND, amount_minor=100),), "Partly"),
        ({}, Action.APPROVE, (paid(type=EventType.REFUND),), "Came back"),
    ],
)
def test_whether_the_money_has_left(changes, action, back, short) -> None:
    assert money_left(paid(**changes), action, back).short == short


def test_what_the_issuer_answered_is_in_words() -> None:
    answers = answers_of(
        paid(auth_response="51", avs_result="N", cvv_result="M", three_ds=THREE_DS, sca_exemption="low_value")
    )
    assert [(one.name, one.says, one.tone) for one in answers] == [
        ("Response", "declined: insufficient funds", "critical"),
        ("Address (AVS)", "neither street nor postal code matches", "critical"),
        ("Security code (CVV)", "matches", "good"),
        ("3-D Secure", "the cardholder was authenticated", "good"),
        ("Liability", "moved to the issuer", ""),
        ("Exemption from SCA", "low value", ""),
    ]
    assert answers_of(paid()) == []
    [unknown] = answers_of(paid(auth_response="ZZ"))
    assert (unknown.says, unknown.code) == ("a code we do not know", "ZZ")


def test_every_reason_of_the_model_has_its_value_in_words() -> None:
    assert set(SAID) == {code for code, *_ in GROUPS}
    for say in SAID.values():
        assert say(0.0) and say(1.0)


@pytest.mark.parametrize("score", [0.0, 0.2, 0.93, 1.0])
def test_the_weights_end_at_the_score(score) -> None:
    reasons = [
        {"code": "amount", "text": "a", "value": math.log(11), "baseline": 0.0, "weight": 1.5},
        {"code": "other", "text": "rest", "value": None, "baseline": None, "weight": -0.5},
    ]
    summed = added_up(reasons, score)
    assert sum(row["weight"] for row in summed.rows) == pytest.approx(summed.total)
    assert 1 / (1 + math.exp(-summed.total)) == pytest.approx(score, abs=1e-8)
    assert (summed.rows[0]["value"], summed.rows[0]["baseline"]) == ("11.0x", "1.0x")
    assert (summed.rows[1]["value"], summed.rows[-1]["text"]) == ("", "Calibration on held-out payments")
