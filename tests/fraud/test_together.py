"""Requests that wait at the same moment are decided in one transaction, and none of them notices."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.core.errors import LynceusError
from apps.fraud.decide.services import together
from apps.fraud.decide.services.decide_now import Asked
from apps.fraud.models import Decision, Transaction
from apps.fraud.wire.validation import check_events
from tests.fraud.conftest import event
from tests.integration.running import eventually

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., Future[Transaction]]


@pytest.fixture
def sizes(monkeypatch) -> list[int]:
    """How many requests each batch had."""
    honest, seen = together.decide_asked, []

    def counted(batch: list[Asked], *how: Any) -> list[Transaction | None]:
        seen.append(len(batch))
        return honest(batch, *how)

    monkeypatch.setattr(together, "decide_asked", counted)
    return seen


class Held(together.Desk):
    """Holds the first batch until the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.taken: list[list[together.Request]] = []

    def _decided(self, batch: list[together.Request]) -> Any:
        self.taken.append(batch)
        if len(self.taken) == 1:
            self.gate.wait(30)
        return super()._decided(batch)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def end(self) -> None:
        self.gate.set()
        self._desk_thread.submit(lambda: connection.close()).result(30)
        for threads in (self._desk_thread, self._alone_threads):
            threads.shutdown()


@pytest.fixture
def desk(transactional_db) -> Iterator[Held]:
    held = Held()
    yield held
    held.end()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Running, in a thread of its own, as in a web process."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join(30)
    running.close()


@pytest.fixture
def ask_for(champion, source, desk, loop, monkeypatch) -> Iterator[Ask]:
    """Starts a request."""
    monkeypatch.setattr(together, "_decide_alone", and_closed(together._decide_alone))
    futures: list[Future[Transaction]] = []

    def ask(body: dict[str, Any], patience_s: float = 60) -> Future[Transaction]:
        [item] = check_events([body])
        asked = desk.settle(Asked(source, item, None), time.monotonic() + patience_s)
        futures.append(asyncio.run_coroutine_threadsafe(asked, loop))
        return futures[-1]

    yield ask
    desk.gate.set()
    wait(futures, 30)
    for future in futures:
        future.cancel()


def and_closed(work: Callable[..., Any]) -> Callable[..., Any]:
    """No connection outlives the test."""

    def tidy(*args: Any) -> Any:
        try:
            return work(*args)
        finally:
            connection.close()

    return tidy


def first_of(desk: Held, ask_for: Ask) -> Future[Transaction]:
    """A request the desk has in hand, and will have until the gate is opened."""
    first = ask_for(event("first", card_token="first"))
    eventually(lambda: len(desk.taken) == 1, of="the first to be in hand")
    return first


def behind(desk: Held, ask_for: Ask, *bodies: Any) -> list[Future[Transaction]]:
    """The futures of these requests, which all waited while an earlier one was decided."""
    first = first_of(desk, ask_for)
    futures = [ask_for(body) for body in bodies]
    eventually(lambda: desk.waiting == len(bodies), of="the others to wait")
    desk.gate.set()
    return [first, *futures]


def test_who_waits_goes_together(desk, ask_for, sizes) -> None:
    bodies = [event(f"e{i}", card_token=f"c{i % 3}", amount_minor=1000 + i) for i in range(6)]
    rows = [future.result(30) for future in behind(desk, ask_for, *bodies)]
    assert sizes == [1, 6]
    assert [row.event_id for row in rows] == ["first", *(f"e{i}" for i in range(6))]
    assert [row.decision.mode for row in rows] == ["full"] * 7
    assert Decision.objects.count() == 7


def test_one_id_twice_in_a_batch(desk, ask_for, sizes) -> None:
    same, other = event("e1"), event("e1", amount_minor=77)
    futures = behind(desk, ask_for, same, same, other)
    assert futures[1].result(30).decision == futures[2].result(30).decision
    with pytest.raises(LynceusError) as refused:
        futures[3].result(30)
    assert refused.value.status == 409
    assert Decision.objects.count() == 2


@pytest.mark.parametrize("trouble", [OperationalError("gone"), ZeroDivisionError()])
def test_a_batch_that_fails_leaves_each_to_itself(desk, ask_for, monkeypatch, trouble) -> None:
    def broken(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(together, "decide_asked", broken)
    futures = behind(desk, ask_for, *(event(f"e{i}") for i in range(3)))
    assert {future.result(30).decision.mode for future in futures} == {"full"}
    assert Decision.objects.count() == 4


def test_were_the_desk_to_fall_with_its_batch_nobody_would_be_answered(desk, ask_for, monkeypatch) -> None:
    class Fallen(BaseException):
        pass

    def fallen(*_: object) -> None:
        raise Fallen

    first = first_of(desk, ask_for)
    monkeypatch.setattr(together, "decide_asked", fallen)
    desk.gate.set()
    with pytest.raises(TimeoutError):
        first.result(1)
    first.cancel()


def test_whoever_asked_and_went_leaves_the_others_their_answers(desk, ask_for) -> None:
    gone, stays = ask_for(event("gone")), ask_for(event("stays"))
    eventually(lambda: len(desk.taken) == 1, of="the first batch to be in hand")
    gone.cancel()
    desk.gate.set()
    assert stays.result(30).decision.mode == "full"


def test_who_has_less_time_does_not_wait_it_out_behind_others(desk, ask_for) -> None:
    """The desk is held for as long as the test likes; half its patience later the other goes alone."""
    first = first_of(desk, ask_for)
    assert ask_for(event("e1"), 2).result(30).decision.mode == "full"
    assert not first.done()
    desk.gate.set()
    assert first.result(30).decision.mode == "full"


def test_without_going_alone_it_would_wait_for_the_desk(desk, ask_for, monkeypatch) -> None:
    monkeypatch.setattr(together.Desk, "_lose_patience", lambda *_: None)
    first = first_of(desk, ask_for)
    impatient = ask_for(event("e1"), 0.2)
    with pytest.raises(TimeoutError):
        impatient.result(3)
    desk.gate.set()
    first.result(30)
    impatient.result(30)


def test_no_more_go_alone_than_there_is_room_for(desk, ask_for, monkeypatch) -> None:
    """Were all to go alone who lose patience, they would hold each other up."""
    alone, going = threading.Event(), []
    honest = together.decide_now

    def slowly(asked: Asked, until: float) -> Transaction:
        going.append(asked)
        alone.wait(30)
        return honest(asked, until)

    monkeypatch.setattr(together, "decide_now", slowly)
    first_of(desk, ask_for)
    futures = [ask_for(event(f"e{i}"), 0.2) for i in range(6)]
    eventually(lambda: len(going) == together.ALONE_MAX, of="the first to go alone")
    desk.gate.set()
    eventually(lambda: sum(future.done() for future in futures) == 4, of="the others' batch")
    alone.set()
    assert {future.result(30).decision.mode for future in futures} <= {"full", "rules_only", "no_state"}
    assert len(going) == together.ALONE_MAX


def test_nobodys_deadline_is_cut_down_to_a_neighbours(desk, ask_for, sizes) -> None:
    first = first_of(desk, ask_for)
    patient = [ask_for(event(f"e{i}")) for i in range(2)]
    eventually(lambda: desk.waiting == 2, of="the patient to wait")
    hasty = ask_for(event("hasty"), 20)
    eventually(lambda: desk.waiting == 3, of="all to wait")
    desk.gate.set()
    assert {future.result(30).decision.mode for future in (first, *patient, hasty)} == {"full"}
    assert sizes == [1, 1, 2]


def test_who_comes_when_too_many_wait_hears_so_at_once(desk, ask_for, monkeypatch) -> None:
    monkeypatch.setattr(together, "WAITING_MAX", 2)
    first_of(desk, ask_for)
    waiting = [ask_for(event(f"e{i}")) for i in range(2)]
    eventually(lambda: desk.waiting == 2, of="two to wait")
    with pytest.raises(LynceusError) as refused:
        ask_for(event("late")).result(30)
    assert (refused.value.status, refused.value.code, refused.value.retryable) == (503, "too_busy", True)
    desk.gate.set()
    assert [future.result(30).decision.mode for future in waiting] == ["full"] * 2
    assert not Transaction.objects.filter(event_id="late").exists()
