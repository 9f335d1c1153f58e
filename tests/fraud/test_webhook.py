"""The webhook's door: who may send, what is taken, and that everything is stored or nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.models import Source, SourceSecret, Transaction
from apps.fraud.wire.services.sources import ensure_source, rotate_source_secret, valid_secrets
from tests.fraud.conftest import event

pytestmark = pytest.mark.decision


def errors_of(answer) -> set[tuple[int, str, str]]:
    return {(e["index"], e["field"], e["code"]) for e in answer.json()["errors"]}


def test_it_works(post, ask) -> None:
    answer = post(event())
    assert answer.status_code == 202
    assert answer.json() == {"accepted": ["e1"], "duplicates": []}
    assert ask("e1").status_code == 202
    assert AuditEvent.objects.filter(action="transactions.received").count() == 1


def test_a_wrong_stale_or_missing_signature_is_refused_and_changes_nothing(post) -> None:
    cases = {
        "wrong_signature": {"webhook_signature": "v1,AAAA"},
        "missing_signature": {"webhook_signature": ""},
        "bad_timestamp": {"webhook_timestamp": "soon"},
        "unknown_source": {"lynceus_source": "nobody"},
        "stale_timestamp": {"at": now() - timedelta(minutes=6)},
    }
    for code, changes in cases.items():
        answer = post(event(), **changes)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert not Transaction.objects.exists()


def test_the_signature_covers_every_byte(post) -> None:
    signed = post(event())
    headers = signed.wsgi_request.headers
    tampered = post(event(amount_minor=1), webhook_signature=headers["webhook-signature"])
    assert tampered.json()["code"] == "wrong_signature"


def test_two_secrets_overlap_while_one_rotates(post, source) -> None:
    rotate_source_secret(source)
    assert post(event()).status_code == 202
    SourceSecret.objects.filter(expires_at__isnull=False).update(expires_at=now() - timedelta(seconds=1))
    assert post(event("e2")).status_code == 401


def test_secrets_are_encrypted_at_rest_and_bound_to_their_source(source) -> None:
    secret = rotate_source_secret(source)
    assert valid_secrets(source) == [secret]
    assert secret.encode() not in bytes(SourceSecret.objects.get().ciphertext)


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"amount_minor": "12"}, "amount_minor", None),
        ({"amount_minor": -1}, "amount_minor", None),
        ({"amount_minor": 1.5}, "amount_minor", None),
        ({"currency": "EURO"}, "currency", None),
        ({"currency": "XXX"}, "currency", None),
        ({"country": "Belgium"}, "country", None),
        ({"mcc": 5411}, "mcc", None),
        ({"mcc": "54"}, "mcc", None),
        ({"occurred_at": "2026-01-01 10:00"}, "occurred_at", None),
        ({"occurred_at": "2026-01-01T10:00:00"}, "occurred_at", None),
        ({"type": "sale"}, "type", "not_one_of"),
        ({"entry_mode": "telepathy"}, "entry_mode", "not_one_of"),
        ({"card_token": ""}, "card_token", "empty"),
        ({"card_token": "x" * 129}, "card_token", "too_long"),
        ({"latitude": 91}, "latitude", None),
        ({"ip": "300.1.1.1"}, "ip", None),
        ({"pan": "4111111111111111"}, "pan", "unknown_field"),
    ],
)
def test_a_malformed_event_names_its_field(post, changes, field, code) -> None:
    answer = post([event("good"), event("bad", **changes)])
    assert answer.status_code == 422
    assert {(index, name) for index, name, _ in errors_of(answer)} == {(1, field)}
    if code:
        assert (1, field, code) in errors_of(answer)
    assert "4111" not in answer.content.decode()
    assert not Transaction.objects.exists()


def test_a_missing_field_is_named(post) -> None:
    body = event()
    del body["terminal_id"]
    assert errors_of(post(body)) == {(0, "terminal_id", "required")}


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 422, "wrong_event_count"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b'{"event_id": "a", "event_id": "b"}', 400, "invalid_json"),
        (b" " * (2 * 1024 * 1024 + 1), 413, "body_too_large"),
        (b"[3]", 422, "invalid_events"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(post, raw, status, code) -> None:
    answer = post(None, raw=raw)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_five_hundred_are_taken_and_one_more_is_not(post) -> None:
    many = [event(f"e{i}") for i in range(501)]
    assert post(many).json()["code"] == "wrong_event_count"
    assert len(post(many[:500]).json()["accepted"]) == 500


def test_sending_again_is_a_duplicate_and_another_body_a_conflict(post) -> None:
    first = event()
    post(first)
    answer = post([first, event("e2"), event("e2", occurred_at=event()["occurred_at"])])
    assert answer.status_code == 409
    assert errors_of(answer) == {(2, "event_id", "same_id_other_body")}
    second = event("e2")
    again = post([first, second, second])
    assert again.json() == {"accepted": ["e2"], "duplicates": ["e1", "e2"]}
    conflict = post([event("e3"), {**first, "amount_minor": 1}])
    assert conflict.status_code == 409
    assert Transaction.objects.count() == 2


def test_a_reversal_has_no_decision(post, ask) -> None:
    post(event(type="reversal", original_event_id="e0"))
    answer = ask("e1")
    assert (answer.status_code, answer.json()["decision"]) == (200, None)


def test_decisions_are_for_ones_own_site(post, ask) -> None:
    other = Site.objects.create(slug="south", name="South")
    foreign = ensure_source(site=other, slug="elsewhere", name="Elsewhere")
    post(event())
    Transaction.objects.update(source=foreign)
    assert ask("e1", "?source=elsewhere").status_code == 404
    assert ask("e1").status_code == 404


def test_strangers_learn_nothing(client, post) -> None:
    post(event())
    assert client.get("/api/v1/decisions/e1").status_code == 401


def test_an_inactive_source_is_unknown(post) -> None:
    Source.objects.update(is_active=False)
    assert post(event()).json()["code"] == "unknown_source"


@pytest.mark.parametrize("header", ["webhook_id", "webhook_timestamp", "webhook_signature", "lynceus_source"])
@pytest.mark.parametrize(
    "value",
    [
        "v1,", "v1,=", "v1,AAA", "v1,\u00e9\u00e9\u00e9\u00e9", "v1a,AAAA", ",", " ", "v1 AAAA", "\x00",
        "\u00b2\u00b3", "-1", "1e9", "9" * 400, "v1,AAAA " * 50, "\udcff", "nan",
    ],
)  # fmt: skip
def test_a_malformed_header_is_401_at_both_doors(post, client, header, value) -> None:
    answer = post(event(), **{header: value})
    if header == "webhook_id" and answer.status_code == 401:
        assert answer.json()["code"] in {"wrong_signature", "missing_signature"}
    assert answer.status_code == 401
    headers = {
        name: answer.wsgi_request.META.get("HTTP_" + name.upper().replace("-", "_"), "")
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "lynceus-source")
    }
    again = client.post("/api/v1/decisions", "{}", "application/json", headers=headers)
    assert again.status_code == 401
    assert not Transaction.objects.exists()


def test_text_that_no_database_keeps_is_not_found(ask) -> None:
    assert ask("%00").status_code == 404
    assert ask("e1", "?source=%00").status_code == 404
