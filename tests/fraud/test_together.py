"""Requests that wait at the same moment are decided in one transaction, and none of them notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.core.errors import LynceusError
from apps.fraud.models import Decision, Transaction
from apps.fraud.services import together
from apps.fraud.services.decide_now import Asked
from apps.fraud.validation import check_events
from tests.fraud.conftest import event
from tests.integration.running import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sizes(monkeypatch) -> list[int]:
    """How many requests each batch had."""
    honest, seen = together.decide_asked, []

    def counted(batch: list[Asked], *how: Any) -> list[Transaction | None]:
        seen.append(len(batch))
        return honest(batch, *how)

    monkeypatch.setattr(together, "decide_asked", counted)
    return seen


@pytest.fixture
def gate(monkeypatch) -> threading.Event:
    """Holds the first batch open until it is set."""
    opened, honest = threading.Event(), together._decide

    def held(batch: list[together.Request]) -> None:
        if len(batch) == 1:
            opened.wait(30)
        honest(batch)

    monkeypatch.setattr(together, "_queue", together.Queue())
    monkeypatch.setattr(together, "_decide", held)
    return opened


@pytest.fixture
def ask_for(champion, source) -> Any:
    """Starts a request in a thread of its own."""
    pool = ThreadPoolExecutor(12)

    def call(body: dict[str, Any], patience_s: float) -> Transaction:
        [item] = check_events([body])
        try:
            return together.decide_together(Asked(source, item, None), time.monotonic() + patience_s)
        finally:
            connection.close()

    yield lambda body, patience_s=60: pool.submit(call, body, patience_s)
    pool.shutdown()


def behind(gate: threading.Event, ask_for: Callable[..., Future[Transaction]], *bodies: Any) -> list[Any]:
    """The futures of these requests, which all waited while an earlier one was decided."""
    first = ask_for(event("first", card_token="first"))
    eventually(lambda: together._queue._led and not together._queue._waiting, of="the first to lead")
    futures = [ask_for(body) for body in bodies]
    eventually(lambda: len(together._queue._waiting) == len(bodies), of="the others to wait")
    gate.set()
    return [first, *futures]


def test_who_waits_goes_together(gate, ask_for, sizes) -> None:
    bodies = [event(f"e{i}", card_token=f"c{i % 3}", amount_minor=1000 + i) for i in range(6)]
    rows = [future.result(30) for future in behind(gate, ask_for, *bodies)]
    assert sizes == [1, 6]
    assert [row.event_id for row in rows] == ["first", *(f"e{i}" for i in range(6))]
    assert [row.decision.mode for row in rows] == ["full"] * 7
    assert Decision.objects.count() == 7


def test_one_id_twice_in_a_batch(gate, ask_for, sizes) -> None:
    same, other = event("e1"), event("e1", amount_minor=77)
    futures = behind(gate, ask_for, same, same, other)
    assert futures[1].result(30).decision == futures[2].result(30).decision
    with pytest.raises(LynceusError) as refused:
        futures[3].result(30)
    assert refused.value.status == 409
    assert Decision.objects.count() == 2


def test_a_batch_that_fails_leaves_each_to_itself(gate, ask_for, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(together, "decide_asked", broken)
    futures = behind(gate, ask_for, *(event(f"e{i}") for i in range(3)))
    assert {future.result(30).decision.mode for future in futures} == {"full"}
    assert Decision.objects.count() == 4


def test_nobody_waits_for_ever_for_a_leader_that_fell(gate, ask_for, monkeypatch) -> None:
    def fallen(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(together, "decide_asked", fallen)
    futures = behind(gate, ask_for, *(event(f"e{i}") for i in range(3)))
    ended = [future.exception(30) for future in futures]
    assert [type(error) for error in ended].count(ZeroDivisionError) == 2  # the two who led
    assert Decision.objects.count() == 2  # the others went alone
    assert not together._queue._led


def test_who_has_less_time_does_not_wait_it_out_behind_others(gate, ask_for) -> None:
    """The leader is held for as long as the test likes; half its patience later the other goes alone."""
    first = ask_for(event("first", card_token="first"))
    eventually(lambda: together._queue._led and not together._queue._waiting, of="the first to lead")
    assert ask_for(event("e1"), 2).result(30).decision.mode == "full"
    assert not first.done()
    gate.set()
    assert first.result(30).decision.mode == "full"


def test_without_going_alone_it_would_wait_for_the_leader(gate, ask_for, monkeypatch) -> None:
    monkeypatch.setattr(together.Queue, "_withdrawn", lambda *_: False)
    first = ask_for(event("first", card_token="first"))
    eventually(lambda: together._queue._led and not together._queue._waiting, of="the first to lead")
    impatient = ask_for(event("e1"), 0.2)
    with pytest.raises(TimeoutError):
        impatient.result(3)
    gate.set()
    first.result(30)
    impatient.result(30)


def test_nobodys_deadline_is_cut_down_to_a_neighbours(gate, ask_for, sizes) -> None:
    first = ask_for(event("first", card_token="first"))
    eventually(lambda: together._queue._led and not together._queue._waiting, of="the first to lead")
    patient = [ask_for(event(f"e{i}")) for i in range(2)]
    eventually(lambda: len(together._queue._waiting) == 2, of="the patient to wait")
    hasty = ask_for(event("hasty"), 20)
    eventually(lambda: len(together._queue._waiting) == 3, of="all to wait")
    gate.set()
    assert {future.result(30).decision.mode for future in (first, *patient, hasty)} == {"full"}
    assert sizes == [1, 2, 1]
