"""Card numbers and security codes stay out: of the database, the answer and the log."""

from __future__ import annotations

import itertools
import logging
import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps

from apps.core.clock import now
from apps.fraud.common import cardguard
from apps.fraud.common.cardguard import Allowed, forbidden, holds_card_number
from apps.fraud.models import Source, Transaction
from apps.fraud.wire import validation
from tests.fraud.conftest import event
from tests.fraud.test_webhook import errors_of

pytestmark = pytest.mark.decision
PAN = "4111111111111111"
NUMBERS = [
    PAN, "4222222222222", "5555555555554444", "2223003122003222", "378282246310005", "30569309025904",
    "6011111111111117", "3530111333300000", "6200000000000005", "6759649826438453", "2200000000000004",
]  # fmt: skip
WAYS = [
    "{}", "card {} ok", "no:{}.", "tok_{}", "a{}b", "x 2026-03-01 {} 7",
]  # fmt: skip


def grouped(number: str, by: str) -> str:
    return by.join(number[i : i + 4] for i in range(0, len(number), 4))


def database_text() -> str:
    """Everything in every table."""
    return " ".join(
        str(value)
        for model in apps.get_models()
        for row in model._default_manager.values_list()
        for value in row
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_a_card_number_is_seen_however_it_is_written(number: str) -> None:
    shapes = [number, *(grouped(number, by) for by in (" ", "-", " - ", ".", "\u00a0", "\u2011", "_"))]
    for shape, way in itertools.product(shapes, WAYS):
        assert holds_card_number(way.format(shape)), way.format(shape)
    assert holds_card_number(number.translate({ord("0") + i: 0xFF10 + i for i in range(10)}))


def test_a_wrong_check_digit_range_or_length_is_no_card_number() -> None:
    for number in ("4111111111111112", "9111111111111119", "41111111111111", "4" + "0" * 22):
        assert not holds_card_number(number)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"card_token": PAN}, "card_token"),
        ({"event_id": PAN}, "event_id"),
        ({"network_reference": f"ref {grouped(PAN, ' ')}"}, "network_reference"),
        ({"network_reference": "378282246310005"}, "network_reference"),
        ({"merchant_id": grouped(PAN, "-")}, "merchant_id"),
        ({"note": f"paid with {PAN}"}, "note"),
        ({"note": int(PAN)}, "note"),
        ({"note": float(PAN)}, "note"),
        ({"note": {"deep": [{"er": PAN}]}}, "note.deep.er"),
        ({PAN: "x"}, "?"),
        ({"three_ds": {"version": PAN}}, "three_ds.version"),
    ],
)
def test_a_card_number_is_refused_and_leaves_no_trace(post, caplog, changes, field) -> None:
    caplog.set_level(logging.DEBUG)
    answer = post([event("good"), event(**changes)])
    assert answer.status_code == 422
    assert (1, field, "card_number") in errors_of(answer)
    for text in (answer.content.decode(), caplog.text, database_text()):
        assert "11111111" not in text.replace(" ", "").replace("-", "")
        assert "378282246310005" not in text
    assert not Transaction.objects.exists()


def test_without_the_guard_it_would_be_stored(post, monkeypatch) -> None:
    monkeypatch.setattr(validation, "forbidden", lambda event, allowed: [])
    assert post(event(card_token=PAN)).status_code == 202
    assert PAN in database_text()


@pytest.mark.parametrize(
    "key",
    [
        "cvv", "CVV2", "cvc", "cVc-2", "cid", "CAV2", "csc", "card_verification_value", "securityCode",
        "Card Security Code", "cardCvv", "cvv_number", "pin_block", "track2", "\uff43\uff56\uff56",
    ],
)  # fmt: skip
def test_a_security_code_is_refused_under_any_of_its_names(post, caplog, key) -> None:
    caplog.set_level(logging.DEBUG)
    for changes in ({key: "987"}, {"three_ds": {"version": "2", key: 987}}, {"x": [{key: "987"}]}):
        answer = post(event(**changes))
        assert answer.status_code == 422
        assert "security_code" in {code for _, _, code in errors_of(answer)}
        assert '987"' not in answer.content.decode()
    assert not Transaction.objects.exists()


def test_a_security_code_in_text_or_in_place_of_its_result_is_refused(post) -> None:
    assert errors_of(post(event(merchant_id="CVV: 123"))) == {(0, "merchant_id", "security_code")}
    assert errors_of(post(event(cvv_result="123"))) == {(0, "cvv_result", "security_code")}
    assert post(event(cvv_result="M")).status_code == 202


def test_a_source_may_declare_that_its_tokens_and_references_look_so(post) -> None:
    like_tokens = event(card_token=PAN)
    assert post(like_tokens).status_code == 422
    Source.objects.update(luhn_valid_tokens=True)
    assert post(like_tokens).status_code == 202
    assert post(event("e2", merchant_id=PAN)).status_code == 422
    Source.objects.update(numeric_references=True)
    assert post(event("e2", merchant_id=PAN)).status_code == 202
    assert post(event("e3", scheme="visa", funding=PAN)).status_code == 422


def test_a_visa_transaction_identifier_is_no_american_express_number(post) -> None:
    assert post(event(scheme="visa", network_reference="378282246310005")).status_code == 202


def references(n: int, seed: int) -> list[dict[str, str]]:
    """RRN (12 digits), ARN (23), Visa's identifier (15), Mastercard's banknet, UUIDs, hex and base 36."""
    draw = random.Random(seed)
    found: list[dict[str, str]] = []
    shapes = [
        lambda: {"network_reference": f"{draw.randrange(10**12):012d}"},
        lambda: {"network_reference": f"{draw.randrange(10**23):023d}"},
        lambda: {"network_reference": f"{draw.randrange(10**15):015d}", "scheme": "visa"},
        lambda: {"network_reference": f"MC{draw.choice('CDPQS')}{draw.randrange(10**10):010d}"},
        lambda: {"event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4))},
        lambda: {"original_event_id": uuid.UUID(int=draw.getrandbits(128), version=4).hex},
        lambda: {"card_token": f"tok_{draw.getrandbits(96):024x}"},
        lambda: {"device_id": "".join(draw.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=22))},
    ]  # fmt: skip
    for _ in range(n):
        found.append(draw.choice(shapes)())
    return found


def stamps(n: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    start = datetime(2000, 1, 1, tzinfo=UTC)
    found = []
    for i in range(n):
        at = start + timedelta(microseconds=draw.randrange(39 * 365 * 86_400 * 10**6))
        us = int(at.timestamp() * 10**6)
        forms = (
            at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S.%f"), at.strftime("%Y%m%d%H%M%S"),
            at.strftime("%Y%m%dT%H%M%S%f"), at.strftime("%Y-%m-%d %H-%M-%S"), str(us), str(us // 1000),
            str(us * 1000), at.strftime("%Y%m%d%H%M%S%f")[:17],
        )  # fmt: skip
        found.append(forms[i % len(forms)])
    return found


def test_a_hundred_thousand_references_uuids_and_time_stamps_are_all_taken() -> None:
    refused = [given for given in references(50_000, 1) if forbidden(given, Allowed())]
    refused += [{"at": text} for text in stamps(50_000, 2) if forbidden({"note": text}, Allowed())]
    assert refused == []


def test_a_guard_without_issuers_would_refuse_many_of_them(monkeypatch) -> None:
    monkeypatch.setattr(cardguard, "_issued_lengths", lambda digits: range(13, 20))
    assert any(forbidden({"note": text}, Allowed()) for text in stamps(500, 2))


def test_some_of_them_through_the_door(post) -> None:
    base, at = references(500, 3), now().isoformat()
    sent = [event(f"r{i}", occurred_at=at, **changes) if "event_id" not in changes
            else event(occurred_at=at, **changes) for i, changes in enumerate(base)]  # fmt: skip
    assert len(post(sent).json()["accepted"]) == 500


@pytest.fixture
def lengths_read(monkeypatch) -> list[int]:
    read: list[int] = []
    look = cardguard.holds_card_number

    def counting(text: str) -> bool:
        read.append(len(text))
        return look(text)

    monkeypatch.setattr(cardguard, "holds_card_number", counting)
    return read


LONG = "4 " * 10_000


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"merchant_id": LONG}, "merchant_id"), ({"note": [LONG]}, "note"), ({LONG: 1}, "?")],
)
def test_what_is_too_long_is_refused_unread(post, lengths_read, changes, field) -> None:
    answer = post([event("good"), event(**changes)])
    assert answer.status_code == 422
    assert (1, field, "too_long") in errors_of(answer)
    assert max(lengths_read) <= 128


def test_without_the_limit_it_would_be_read(post, lengths_read, monkeypatch) -> None:
    monkeypatch.setattr(cardguard, "_TEXT_MAX", 10**6)
    assert post(event(merchant_id=LONG)).status_code == 422
    assert max(lengths_read) == len(LONG)


def test_the_work_grows_with_the_text_and_not_with_its_square(monkeypatch) -> None:
    """Counted in looks at an issuer's range: one for each place a number may begin."""
    looks: list[str] = []
    lengths = cardguard._issued_lengths

    def counting(digits: str) -> object:
        looks.append(digits)
        return lengths(digits)

    monkeypatch.setattr(cardguard, "_issued_lengths", counting)
    for groups in (100, 1000):
        looks.clear()
        assert not holds_card_number("4 " * groups)
        assert len(looks) == groups + 1
