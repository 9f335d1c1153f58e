"""Requests that wait at the same moment are decided in one transaction, and none of them notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
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
    """Holds the first batch until the gate is opened; ends with the test."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.ended = False
        self.taken: list[list[together.Request]] = []

    def _next(self) -> list[together.Request]:
        batch = super()._next()
        if self.ended:
            connection.close()
            raise SystemExit
        self.taken.append(batch)
        if len(self.taken) == 1:
            self.gate.wait(30)
        return batch

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def end(self) -> None:
        self.gate.set()
        self.ended = True
        with self._changed:
            self._waiting = [together.Request(Asked(None, None, None), 0.0)]  # type: ignore[arg-type]
            self._changed.notify()


@pytest.fixture
def desk(monkeypatch) -> Iterator[Held]:
    held = Held()
    monkeypatch.setattr(together, "_desk", held)
    worker = threading.Thread(target=held.work)
    worker.start()
    yield held
    held.end()
    worker.join(30)


@pytest.fixture
def ask_for(champion, source, desk) -> Iterator[Ask]:
    """Starts a request in a thread of its own."""
    pool = ThreadPoolExecutor(12)

    def call(body: dict[str, Any], patience_s: float) -> Transaction:
        [item] = check_events([body])
        try:
            return together.decide_together(Asked(source, item, None), time.monotonic() + patience_s)
        finally:
            connection.close()

    yield lambda body, patience_s=60: pool.submit(call, body, patience_s)
    desk.gate.set()
    pool.shutdown()


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
    def fallen(*_: object) -> None:
        raise SystemExit

    first = first_of(desk, ask_for)
    monkeypatch.setattr(together, "decide_asked", fallen)
    desk.gate.set()
    with pytest.raises(TimeoutError):
        first.result(1)
    for request in desk.taken[0]:
        request.woken.set()
    assert first.result(30).decision.mode == "full"


def test_who_has_less_time_does_not_wait_it_out_behind_others(desk, ask_for) -> None:
    """The desk is held for as long as the test likes; half its patience later the other goes alone."""
    first = first_of(desk, ask_for)
    assert ask_for(event("e1"), 2).result(30).decision.mode == "full"
    assert not first.done()
    desk.gate.set()
    assert first.result(30).decision.mode == "full"


def test_without_going_alone_it_would_wait_for_the_desk(desk, ask_for, monkeypatch) -> None:
    monkeypatch.setattr(together.Desk, "_withdrawn", lambda *_: False)
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
