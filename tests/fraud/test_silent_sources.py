"""A source that does not answer, or not in time, costs the others nothing and is given up in the end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db.models import QuerySet

from apps.core import webhooks
from apps.core.clock import now
from apps.fraud.models import Decision, Delivery, OutboxRow, Source, Transaction
from apps.fraud.tasks import deliver_decisions
from apps.fraud.wire.services import deliver
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_deliveries import make_due

pytestmark = pytest.mark.decision


@pytest.fixture
def silent(site) -> Iterator[Source]:
    """At its address nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        yield Source.objects.create(site=site, slug="silent", name="Silent", webhook_url=url)


@pytest.fixture
def backlog(listener, post, silent, monkeypatch) -> Callable[[], datetime]:
    """More old rows of the silent source than a round takes, and one newer of another."""
    monkeypatch.setattr(deliver, "BATCH", 4)

    def make() -> datetime:
        post([event(f"e{i}") for i in range(10)])
        drain_all()
        Transaction.objects.exclude(event_id="e9").update(source=silent)
        long_ago = now() - timedelta(hours=1)
        of_silent(silent).update(due_at=long_ago)
        return long_ago

    return make


def of_silent(silent: Source) -> QuerySet[OutboxRow]:
    return OutboxRow.objects.filter(decision__in=Decision.objects.filter(transaction__source=silent))


def told(listener) -> list[str]:
    return [json.loads(body)["data"]["event_id"] for _, body in listener.heard]


def test_a_silent_sources_backlog_holds_up_nobody_else(backlog, listener, silent) -> None:
    backlog()
    before = now()
    assert deliver.deliver_due() == 1
    assert told(listener) == ["e9"]
    assert list(Delivery.objects.exclude(error="").values_list("error", flat=True)) == ["ConnectError"]
    # What was not tried waits a minute, uncounted: no round begins at once to try the next of them.
    untried = of_silent(silent).filter(attempts=0)
    assert untried.count() == 8
    assert min(untried.values_list("due_at", flat=True)) >= before + deliver.SILENT
    assert not deliver.due_rows().exists()


def test_without_turns_the_other_would_wait(backlog, listener, monkeypatch) -> None:
    def oldest() -> list[int]:
        return list(deliver.due_rows().values_list("pk", flat=True)[: deliver.BATCH])

    monkeypatch.setattr(deliver, "_next_rows", oldest)
    monkeypatch.setattr(deliver, "_put_off", lambda source_id: None)
    backlog()
    assert deliver.deliver_due() == 0
    assert told(listener) == []


def test_without_putting_off_each_of_its_rows_would_be_tried(backlog, listener, monkeypatch) -> None:
    monkeypatch.setattr(deliver, "_put_off", lambda source_id: None)
    backlog()
    deliver.deliver_due()
    assert Delivery.objects.filter(error="ConnectError").count() == 3
    assert deliver.due_rows().exists()


def test_once_it_answers_it_is_told_everything(backlog, listener, silent) -> None:
    backlog()
    deliver.deliver_due()
    Source.objects.filter(pk=silent.pk).update(webhook_url=listener.url)
    make_due()
    while deliver.deliver_due():
        pass
    assert sorted(told(listener)) == [f"e{i}" for i in range(10)]


def test_a_round_ends_in_time_and_rings_for_the_rest(backlog, listener, monkeypatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(deliver, "ring", rung.append)
    monkeypatch.setattr(deliver, "ROUND_S", -1.0)
    backlog()
    assert deliver.deliver_due() == 0
    assert not Delivery.objects.exists()
    assert rung == [deliver.TASK]


@pytest.fixture
def trickling(listener) -> Iterator[str]:
    """Answers a byte of a header at a time, for over twice as long as it may: no single read takes long."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                for _ in range(100):
                    if stop.wait(0.02):
                        return
                    peer.sendall(b"y")
                peer.sendall(b"\r\n\r\n")
                while peer.recv(65536):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        stop.set()


def outcome_of(url: str, post, monkeypatch) -> Delivery:
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.8)
    Source.objects.update(webhook_url=url)
    post(event())
    drain_all()
    deliver_decisions()
    return Delivery.objects.get()


def test_a_receiver_that_trickles_is_cut_off(trickling, post, monkeypatch) -> None:
    assert outcome_of(trickling, post, monkeypatch).error == "TimeoutError"
    assert OutboxRow.objects.get().attempts == 1


def test_without_the_deadline_it_would_hold_the_worker(trickling, post, monkeypatch) -> None:
    monkeypatch.setattr(webhooks.asyncio, "timeout", contextlib.nullcontext)
    assert outcome_of(trickling, post, monkeypatch).status == 200


ODD = [
    "https://b\u00fccher.invalid/",
    "https://a b.invalid/",
    "https://127.0.0.1/\u0000",
    "https://[::1",
    "x",
]


@pytest.mark.parametrize("url", ODD)
def test_an_odd_address_counts_as_an_attempt(listener, post, url: str) -> None:
    post(event())
    drain_all()
    row = deliver._claim(OutboxRow.objects.get().pk)
    assert row is not None
    row.decision.transaction.source.webhook_url = url
    assert deliver._attempt(row) == (False, False)
    assert Delivery.objects.get().error


def test_a_row_whose_sender_always_dies_is_given_up(listener, post, monkeypatch) -> None:
    def dies(row: OutboxRow) -> None:
        raise RuntimeError

    post(event())
    drain_all()
    with monkeypatch.context() as patch:
        patch.setattr(deliver, "_request", dies)
        for _ in range(len(deliver.WAITS) + 1):
            with pytest.raises(RuntimeError):
                deliver_decisions()
            make_due()
    deliver_decisions()
    assert listener.heard == []
    assert OutboxRow.objects.get().dead_at is not None
    assert Delivery.objects.get().error == "sender_died"
