"""Sources are told of their decisions: signed, at least once, and nowhere a name should not lead."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from standardwebhooks import Webhook, WebhookVerificationError

from apps.core import destinations
from apps.core.clock import now
from apps.core.destinations import Refused, destination_of
from apps.core.status import run_checks
from apps.fraud.decide.services import verdicts
from apps.fraud.models import Decision, Delivery, OutboxRow
from apps.fraud.tasks import deliver_decisions
from apps.fraud.wire.services import deliver
from apps.fraud.wire.services.sources import rotate_source_secret, valid_secrets
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision


def make_due() -> None:
    OutboxRow.objects.filter(delivered_at=None, dead_at=None).update(due_at=now() - timedelta(seconds=1))


def test_it_works(champion, listener, post, ask, source) -> None:
    post(event(amount_minor=300_000))
    drain_all()
    deliver_decisions()
    [(headers, body)] = listener.heard
    told = Webhook(valid_secrets(source)[0]).verify(body, headers)
    made = Decision.objects.get()
    assert headers["webhook-id"] == f"dec_{made.public_id.hex}"
    assert headers["host"] == listener.url.split("/")[2]
    assert told["type"] == "decision.made"
    answered = ask("e1").json()
    assert answered.pop("rescored") is None  # the sender is told the same each time
    assert told["data"] == {
        **answered,
        "decided_at": made.decided_at.isoformat(),
        "source": "acquirer",
    }
    assert b"card-0001" not in body
    deliver_decisions()
    assert len(listener.heard) == 1
    assert Delivery.objects.get().status == 204


def test_a_changed_body_does_not_verify(listener, post, source) -> None:
    post(event())
    drain_all()
    deliver_decisions()
    [(headers, body)] = listener.heard
    with pytest.raises(WebhookVerificationError):
        Webhook(valid_secrets(source)[0]).verify(body.replace(b"approve", b"decline"), headers)


def test_while_a_secret_rotates_old_and_new_both_verify(listener, post, source) -> None:
    old = valid_secrets(source) or [rotate_source_secret(source)]
    post(event())
    rotate_source_secret(source)
    drain_all()
    deliver_decisions()
    [(headers, body)] = listener.heard
    for secret in {*old, *valid_secrets(source)}:
        assert Webhook(secret).verify(body, headers)


def test_a_source_without_an_address_is_not_told(post) -> None:
    post(event())
    drain_all()
    assert Decision.objects.exists()
    assert not OutboxRow.objects.exists()


def test_what_did_not_commit_is_not_told(listener, post, monkeypatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    post(event())
    monkeypatch.setattr(verdicts, "record", broken)
    drain_all()
    deliver_decisions()
    assert listener.heard == []


def test_it_is_tried_again_under_the_same_id_until_it_is_taken(listener, post) -> None:
    listener.answers = [500, 302, 200]
    post(event())
    drain_all()
    for waited in (timedelta(seconds=5), timedelta(minutes=5)):
        before = now()
        deliver_decisions()
        row = OutboxRow.objects.get()
        assert row.delivered_at is None
        assert before + waited <= row.due_at <= now() + waited
        deliver_decisions()  # not due yet
        make_due()
    deliver_decisions()
    assert OutboxRow.objects.get().delivered_at is not None
    assert len({headers["webhook-id"] for headers, _ in listener.heard}) == 1
    assert list(Delivery.objects.order_by("id").values_list("status", flat=True)) == [500, 302, 200]


def test_without_the_schedule_it_would_be_sent_again_at_once(listener, post, monkeypatch) -> None:
    monkeypatch.setattr(deliver, "WAITS", [timedelta(0)] * 9)
    listener.answers = [500, 500]
    post(event())
    drain_all()
    for _ in range(3):
        deliver_decisions()
    assert len(listener.heard) == 3


def test_after_the_last_attempt_it_is_dead_seen_and_can_be_sent_again(listener, post) -> None:
    listener.answers = [503] * 10
    post(event())
    drain_all()
    for _ in range(12):
        deliver_decisions()
        make_due()
    assert len(listener.heard) == 10
    assert OutboxRow.objects.get().dead_at is not None
    [check] = [check for check in run_checks(everything=True) if check.name == "decision webhooks"]
    assert not check.ok
    assert check.message.startswith("1 decision could not be delivered")
    call_command("redeliver")
    deliver_decisions()
    assert OutboxRow.objects.get().delivered_at is not None


def test_gone_is_given_up_at_once(listener, post) -> None:
    listener.answers = [410]
    post(event())
    drain_all()
    deliver_decisions()
    assert OutboxRow.objects.get().dead_at is not None


def test_a_sender_that_died_after_sending_is_followed_by_another(listener, post, monkeypatch) -> None:
    post(event())
    drain_all()
    with monkeypatch.context() as patch:
        patch.setattr(deliver, "Delivery", None)
        with pytest.raises(AttributeError):
            deliver_decisions()
    deliver_decisions()
    assert len(listener.heard) == 1  # the lease still runs
    make_due()
    deliver_decisions()
    assert OutboxRow.objects.get().delivered_at is not None
    assert {headers["webhook-id"] for headers, _ in listener.heard} == {listener.heard[0][0]["webhook-id"]}


def test_two_senders_do_not_send_the_same_at_once(listener, post) -> None:
    post(event())
    drain_all()
    row = OutboxRow.objects.get()
    assert deliver._claim(row.pk) is not None
    assert deliver._claim(row.pk) is None


PRIVATE = [
    "https://127.0.0.1/", "https://localhost/x", "https://[::1]/", "https://10.1.2.3/", "https://192.168.1.1:8443/",
    "https://172.16.0.1/", "https://169.254.169.254/latest/meta-data", "https://[fe80::1]/", "https://[fd00::1]/",
    "https://100.64.0.1/", "https://0.0.0.0/", "https://224.0.0.1/", "https://255.255.255.255/",
    "https://2130706433/", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(Refused, match="private_address"):
        destination_of(url)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://93.184.216.34/", "not_https"), ("ftp://93.184.216.34/", "bad_url"),
        ("https:///x", "bad_url"), ("https://u:p@93.184.216.34/", "bad_url"),
        ("https://93.184.216.34:99999/", "bad_url"),
        ("https://nowhere.invalid/", "name_unknown"), ("https://a\u2024.\u00fc\u0308\ufffd/", "bad_url"),
    ],
)  # fmt: skip
def test_other_addresses_that_cannot_be_used_are_named(url: str, code: str) -> None:
    with pytest.raises(Refused, match=code):
        destination_of(url)


def resolves_to(monkeypatch, *answers: list[str]) -> None:
    left = list(answers)

    def resolve(host: str, port: int, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in left.pop(0)]

    monkeypatch.setattr(destinations.socket, "getaddrinfo", resolve)


def test_a_name_is_resolved_once_and_the_checked_address_is_called(monkeypatch) -> None:
    resolves_to(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    found = destination_of("https://hooks.example:8443/a?b=c")
    assert found.url == "https://93.184.216.34:8443/a?b=c"
    assert (found.host, found.netloc) == ("hooks.example", "hooks.example:8443")


def test_a_name_beyond_ascii_is_called_as_dns_knows_it(monkeypatch) -> None:
    resolves_to(monkeypatch, ["93.184.216.34"], ["93.184.216.34"])
    found = destination_of("https://bücher.example/a")
    assert (found.host, found.netloc) == ("xn--bcher-kva.example", "xn--bcher-kva.example")
    assert destination_of("https://bücher.example:8443/").netloc == "xn--bcher-kva.example:8443"


def test_a_name_with_one_private_address_is_refused(monkeypatch) -> None:
    resolves_to(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(Refused, match="private_address"):
        destination_of("https://hooks.example/")


def test_nothing_is_sent_to_an_address_that_is_not_allowed(listener, post, settings) -> None:
    settings.LYNCEUS_WEBHOOK_ALLOW = []
    post(event())
    drain_all()
    deliver_decisions()
    assert listener.heard == []
    assert Delivery.objects.get().error == "private_address"


def test_without_the_look_it_would_be_sent(listener, post, settings, monkeypatch) -> None:
    settings.LYNCEUS_WEBHOOK_ALLOW = []
    monkeypatch.setattr(destinations, "_is_allowed", lambda address: True)
    post(event())
    drain_all()
    deliver_decisions()
    assert len(listener.heard) == 1


def test_the_page_shows_the_attempts(listener, post, client, make_user) -> None:
    listener.answers = [500]
    post(event())
    drain_all()
    deliver_decisions()
    client.force_login(make_user("fraud_analyst"))
    page = client.get(f"/fraud/decisions/{Decision.objects.get().public_id}/").content.decode()
    assert "Told the sender" in page
    assert ">500<" in page
