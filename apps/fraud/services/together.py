"""Requests of the synchronous door that wait at the same moment are decided in one transaction.

Nobody waits for company: the first request leads at once, and whoever arrives while it works goes together
next, led by one of them. Nobody waits long for it either: after half its time a request goes alone, as it
does where its batch could not be settled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError

from apps.fraud.models import Transaction
from apps.fraud.services.decide import Hurry
from apps.fraud.services.decide_now import COMMIT_S, Asked, decide_asked, decide_now
from apps.fraud.services.look import AlreadyDecided
from apps.fraud.services.states import Busy

BATCH = 64
LIKE = 2.0  # who has more than this times as long, or less than its inverse, goes in another batch


@dataclass(slots=True, eq=False)
class Request:
    """`until` is time.monotonic. Woken with a result, or to lead, or to go alone."""

    asked: Asked
    until: float
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    result: Transaction | None = None

    def left_s(self) -> float:
        return max(0.0, self.until - COMMIT_S - time.monotonic())


class Queue:
    """Whoever leads takes all that wait and have about as long, at most BATCH, and wakes the next leader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._led = False

    def settle(self, request: Request) -> None:
        """Returns when the request has a result or must go alone."""
        with self._lock:
            self._waiting.append(request)
            request.leads, self._led = not self._led, True
        if not request.leads:
            in_time = request.woken.wait(request.left_s() / 2)
            if not in_time and not self._withdrawn(request):
                request.woken.wait()  # its batch is at work, and keeps to a deadline like its own
        if request.leads:
            self._lead(request)

    def _withdrawn(self, request: Request) -> bool:
        """Whether it still waited, and now does not. False where it was woken at this very moment."""
        with self._lock:
            if request.leads or request not in self._waiting:
                return False
            self._waiting.remove(request)
            return True

    def _lead(self, leader: Request) -> None:
        batch = self._company(leader)
        try:
            _decide(batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
                if following is not None:
                    following.leads = True
            for request in (*batch, *filter(None, [following])):
                request.woken.set()

    def _company(self, leader: Request) -> list[Request]:
        """The leader with those whose deadlines are like its own: one batch has one, the nearest of all."""
        with self._lock:
            left_s = leader.left_s()
            like = [one for one in self._waiting if left_s / LIKE <= one.left_s() <= left_s * LIKE]
            batch = [leader, *(one for one in like if one is not leader)][:BATCH]
            self._waiting = [one for one in self._waiting if one not in batch]
        return batch


_queue = Queue()


def decide_together(asked: Asked, until: float) -> Transaction:
    """As `decide_now`, together with the requests that wait at the same moment."""
    request = Request(asked, until)
    _queue.settle(request)
    return request.result or decide_now(asked, until)


def _decide(batch: Sequence[Request]) -> None:
    """Give each request its result, or none of them where anything stands in the way."""
    nearest = min(batch, key=lambda request: request.until)
    try:
        rows = decide_asked(
            [request.asked for request in batch], Hurry(nearest.until - COMMIT_S), nearest.left_s() / 2
        )
    except (Busy, AlreadyDecided, DatabaseError):
        return
    for request, row in zip(batch, rows, strict=True):
        request.result = row
