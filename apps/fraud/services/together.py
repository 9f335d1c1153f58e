"""Requests of the synchronous door that wait at the same moment are decided in one transaction.

A web process has one desk, a thread with a connection of its own. It takes whoever waits, all at once, and
nobody waits for company: the busier it is the larger its batches get, and the cheaper each decision. Nobody
waits long either: after half its time a request goes alone, as it does where its batch could not be settled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, close_old_connections

from apps.core.errors import LynceusError
from apps.fraud.models import Transaction
from apps.fraud.services.decide import Hurry
from apps.fraud.services.decide_now import COMMIT_S, Asked, decide_asked, decide_now
from apps.fraud.services.look import AlreadyDecided
from apps.fraud.services.states import Busy

log = structlog.get_logger(__name__)
BATCH = 64
LIKE = 2.0  # who has more than this times as long, or less than its inverse, goes in another batch
WAITING_MAX = 4 * BATCH  # whoever comes then would wait too long, and hears so at once
ALONE_MAX = 2  # going alone costs several times as much: where many want to, most are better off waiting
IDLE_S = 5.0  # a connection that rested so long is looked at before it is used
RETRY_AFTER_S = 1


@dataclass(slots=True, eq=False)
class Request:
    """`until` is time.monotonic. Woken with a result, or without one to go alone."""

    asked: Asked
    until: float
    woken: threading.Event = field(default_factory=threading.Event)
    result: Transaction | None = None

    def left_s(self) -> float:
        return max(0.0, self.until - COMMIT_S - time.monotonic())


class Desk:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Request] = []
        self._alone = threading.BoundedSemaphore(ALONE_MAX)
        self._used = float("-inf")

    def settle(self, request: Request) -> None:
        """Returns when the request has a result or must go alone. LynceusError 503 where too many wait."""
        with self._changed:
            if len(self._waiting) >= WAITING_MAX:
                raise _too_busy()
            self._waiting.append(request)
            self._changed.notify()
        if request.woken.wait(request.left_s() / 2):
            return
        if self._alone.acquire(blocking=False):
            try:
                if self._withdrawn(request):
                    request.result = decide_now(request.asked, request.until)
                    return
            finally:
                self._alone.release()
        request.woken.wait()  # its batch is at work and keeps to a deadline like its own, or will be soon

    def _withdrawn(self, request: Request) -> bool:
        """Whether it still waited, and now does not."""
        with self._changed:
            if request not in self._waiting:
                return False
            self._waiting.remove(request)
            return True

    def work(self) -> None:
        """For ever: take who waits, decide them, wake them."""
        while True:
            batch = self._next()
            try:
                self._decide(batch)
            except Exception:  # each of them goes alone, and meets its own part of what is wrong
                log.exception("batch_not_decided", requests=len(batch))
            for request in batch:
                request.woken.set()

    def _next(self) -> list[Request]:
        """The one with the least time, and those whose deadlines are like its own: a batch has but one."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            left = {request: request.left_s() for request in self._waiting}
            least_s = min(left.values())
            batch = [request for request, left_s in left.items() if left_s <= least_s * LIKE][:BATCH]
            self._waiting = [request for request in self._waiting if request not in batch]
        return batch

    def _decide(self, batch: Sequence[Request]) -> None:
        """Give each request its result, or none of them where anything stands in the way."""
        if time.monotonic() - self._used > IDLE_S:
            close_old_connections()
        nearest = min(batch, key=lambda request: request.until)
        try:
            rows = decide_asked(
                [request.asked for request in batch], Hurry(nearest.until - COMMIT_S), nearest.left_s() / 2
            )
        except (Busy, AlreadyDecided, DatabaseError):
            self._used = float("-inf")
            return
        self._used = time.monotonic()
        for request, row in zip(batch, rows, strict=True):
            request.result = row


_desk: Desk | None = None


def open_desk() -> None:
    """In a process that serves many at once. In another each request is decided by itself."""
    global _desk
    _desk = Desk()
    threading.Thread(target=_desk.work, name="desk", daemon=True).start()


def decide_together(asked: Asked, until: float) -> Transaction:
    """As `decide_now`, together with the requests that wait at the same moment."""
    if _desk is None:
        return decide_now(asked, until)
    request = Request(asked, until)
    _desk.settle(request)
    return request.result or decide_now(asked, until)


def _too_busy() -> LynceusError:
    return LynceusError(
        "too_busy",
        "Too many wait for a decision. Nothing was stored: send it again.",
        status=503,
        retryable=True,
        retry_after_s=RETRY_AFTER_S,
    )
