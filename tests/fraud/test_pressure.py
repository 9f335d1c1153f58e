"""What cannot be decided stands alone and is parked; what cannot be worked off or kept is not taken."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
from django.core.management import call_command
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core import storage
from apps.core.status import run_checks
from apps.fraud.decide.services import drain, pressure, verdicts
from apps.fraud.models import Transaction
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_decide_now import decide_now, token

__all__ = ["decide_now", "token"]
pytestmark = pytest.mark.decision
POISON = 666


@pytest.fixture
def tries(monkeypatch) -> list[int]:
    """The sizes of the batches that were tried; one with an amount of POISON fails."""
    sizes: list[int] = []
    honest_batch, honest = drain.decide_transactions, verdicts._decision

    def counted(batch):
        sizes.append(len(batch))
        return honest_batch(batch)

    def poisoned(pk, item, *more):
        if item.row.amount_minor == POISON:
            raise ValueError("cannot be decided")
        return honest(pk, item, *more)

    monkeypatch.setattr(drain, "decide_transactions", counted)
    monkeypatch.setattr(verdicts, "_decision", poisoned)
    return sizes


def send_64_with_one_poisoned(post) -> None:
    post([event(f"e{i}", amount_minor=POISON if i == 37 else 100) for i in range(64)])


def test_a_poisoned_batch_is_halved_until_the_bad_one_stands_alone(post, tries) -> None:
    send_64_with_one_poisoned(post)
    assert drain_all() == 63
    assert max(tries) == 64
    assert len([size for size in tries if size]) <= 1 + 2 * 6
    row = Transaction.objects.get(status="pending")
    assert (row.event_id, row.attempts) == ("e37", 1)
    assert row.retry_at is not None


def test_without_halving_all_would_wait_for_the_bad_one(post, tries, monkeypatch) -> None:
    monkeypatch.setattr(drain, "_bisect", lambda pks: None)
    send_64_with_one_poisoned(post)
    assert drain_all() == 0
    assert Transaction.objects.filter(status="pending").count() == 64


def test_two_bad_ones_delay_nobody(post, tries) -> None:
    post([event(f"e{i}", amount_minor=POISON if i in (0, 63) else 100) for i in range(64)])
    assert drain_all() == 62


def fail_three_times(post) -> None:
    post([event("good"), event("bad", amount_minor=POISON)])
    for _ in range(5):
        Transaction.objects.update(retry_at=None)
        drain_all()


def test_after_three_attempts_it_is_parked_and_seen(post, ask, tries, client, make_user) -> None:
    fail_three_times(post)
    row = Transaction.objects.get(event_id="bad")
    assert (row.status, row.attempts) == ("parked", 3)
    answer = ask("bad")
    assert (answer.status_code, answer.json()["status"], answer.json()["decision"]) == (200, "parked", None)
    assert ask("good").json()["decision"] == "approve"
    [check] = [check for check in run_checks(everything=True) if check.name == "parked transactions"]
    assert not check.ok
    assert check.message.startswith("1 could not be decided")
    assert AuditEvent.objects.filter(action="transaction.parked", subject=f"transaction:{row.pk}").exists()
    client.force_login(make_user("fraud_analyst"))
    assert "1 transaction could not be decided" in " ".join(client.get("/fraud/").content.decode().split())


def test_without_parking_it_would_be_tried_for_ever(post, tries, monkeypatch) -> None:
    monkeypatch.setattr(drain, "ATTEMPTS_MAX", 10**6)
    fail_three_times(post)
    assert Transaction.objects.get(event_id="bad").attempts == 5


def test_what_was_parked_can_be_tried_again(post, ask, tries, monkeypatch) -> None:
    fail_three_times(post)
    monkeypatch.undo()
    call_command("requeue_parked")
    assert drain_all() == 1
    assert ask("bad").json()["decision"] == "approve"
    assert all(check.ok for check in run_checks(everything=True) if check.name == "parked transactions")


@pytest.fixture
def crowded(post, settings, monkeypatch) -> None:
    monkeypatch.setattr(pressure, "LOOK_S", 0.0)
    settings.LYNCEUS_PENDING_MAX = 2
    post([event(f"e{i}") for i in range(3)])


def test_past_the_limit_nothing_is_taken_until_some_are_decided(crowded, post) -> None:
    answer = post(event("more"))
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_pending")
    assert answer["Retry-After"] == "5"
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["retryable"] is True
    assert Transaction.objects.count() == 3
    drain_all()
    assert post(event("more")).status_code == 202


def test_without_the_limit_more_would_be_taken(crowded, post, settings) -> None:
    settings.LYNCEUS_PENDING_MAX = 200_000
    assert post(event("more")).status_code == 202


def test_the_limit_is_no_limit_to_what_is_decided_at_once(crowded, decide_now) -> None:
    assert decide_now(event("now")).status_code == 200


def test_strangers_do_not_learn_how_busy_it_is(crowded, client: Client, post) -> None:
    assert post(event("more"), webhook_signature="v1,AAAA").status_code == 401


def test_with_little_disk_left_nothing_is_taken(post, decide_now, monkeypatch) -> None:
    monkeypatch.setattr(storage, "LOOK_S", 0.0)
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 511 * 1024 * 1024))
        for answer in (post(event()), decide_now(event())):
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_low")
            assert answer["Retry-After"] == "5"
        patch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 513 * 1024 * 1024))
        assert post(event()).status_code == 202
    assert Transaction.objects.count() == 1
