"""Requests of the synchronous door that wait at the same moment are decided in one transaction.

A web process has one desk, on its event loop, and one thread at it with a connection of its own. It takes
whoever waits, all at once, and nobody waits for company: the busier it is the larger its batches get, and the
cheaper each decision. Nobody waits long either: after half its time a request goes alone, as it does where
its batch could not be settled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from django.db import DatabaseError, close_old_connections

from apps.core.aside import own_connection
from apps.core.errors import LynceusError
from apps.fraud.decide.services.decide import Hurry
from apps.fraud.decide.services.decide_now import COMMIT_S, Asked, decide_asked, decide_now
from apps.fraud.decide.services.look import AlreadyDecided
from apps.fraud.models import Transaction
from apps.fraud.serving.services.states import Busy

log = structlog.get_logger(__name__)
BATCH = 64
LIKE = 2.0  # who has more than this times as long, or less than its inverse, goes in another batch
WAITING_MAX = 4 * BATCH  # whoever comes then would wait too long, and hears so at once
ALONE_MAX = 2  # going alone costs several times as much: where many want to, most are better off waiting
IDLE_S = 5.0  # a connection that rested so long is looked at before it is used
RETRY_AFTER_S = 1


@dataclass(slots=True, eq=False)
class Request:
    """`until` is time.monotonic. `settled` with a row, or with None to go alone."""

    asked: Asked
    until: float
    settled: asyncio.Future[Transaction | None]

    def left_s(self) -> float:
        return max(0.0, self.until - COMMIT_S - time.monotonic())


class Desk:
    """Everything but deciding happens on the event loop, so nothing here needs a lock."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []
        self._at_work = False
        self._alone = 0
        self._used = float("-inf")
        self._desk_thread = ThreadPoolExecutor(1, thread_name_prefix="desk")
        self._alone_threads = ThreadPoolExecutor(ALONE_MAX, thread_name_prefix="alone")
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self, asked: Asked, until: float) -> Transaction:
        """As `decide_now`, with whoever waits at the same moment. LynceusError 503 where too many do."""
        if len(self._waiting) >= WAITING_MAX:
            raise _too_busy()
        loop = asyncio.get_running_loop()
        request = Request(asked, until, loop.create_future())
        self._waiting.append(request)
        if not self._at_work:
            self._at_work = True
            self._keep(loop.create_task(self._work()))
        patience = loop.call_later(request.left_s() / 2, self._lose_patience, request)
        try:
            row = await request.settled
        finally:
            patience.cancel()
        return row or await self._by_itself(request)

    def _lose_patience(self, request: Request) -> None:
        """Go alone, where there is room; or its batch is at work and keeps to a deadline like its own."""
        if request in self._waiting and self._alone < ALONE_MAX:
            self._waiting.remove(request)
            self._alone += 1
            self._keep(asyncio.get_running_loop().create_task(self._go_alone(request)))

    async def _go_alone(self, request: Request) -> None:
        try:
            row = await self._by_itself(request)
        except Exception as error:
            if not request.settled.done():
                request.settled.set_exception(error)
        else:
            if not request.settled.done():
                request.settled.set_result(row)
        finally:
            self._alone -= 1

    async def _by_itself(self, request: Request) -> Transaction:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._alone_threads, _decide_alone, request)

    async def _work(self) -> None:
        """Until nobody waits: take who does, decide them, tell them."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = self._next()
            rows = await loop.run_in_executor(self._desk_thread, self._decided, batch)
            for request, row in zip(batch, rows, strict=True):
                if not request.settled.done():  # whoever asked may have gone
                    request.settled.set_result(row)
            await asyncio.sleep(0)  # they are answered first, and who came meanwhile is heard
        self._at_work = False

    def _next(self) -> list[Request]:
        """The one with the least time, and those whose deadlines are like its own: a batch has but one."""
        left = {request: request.left_s() for request in self._waiting}
        most_s = min(left.values()) * LIKE
        batch = [request for request, left_s in left.items() if left_s <= most_s][:BATCH]
        taken = set(batch)
        self._waiting = [request for request in self._waiting if request not in taken]
        return batch

    def _decided(self, batch: Sequence[Request]) -> Sequence[Transaction | None]:
        """In the desk's thread: a row for each request, or None for all where anything stands in the way."""
        if time.monotonic() - self._used > IDLE_S:
            close_old_connections()
        nearest = min(batch, key=lambda request: request.until)
        hurry = Hurry(nearest.until - COMMIT_S)
        try:
            rows = decide_asked([request.asked for request in batch], hurry, nearest.left_s() / 2)
        except (Busy, AlreadyDecided, DatabaseError):
            self._used = float("-inf")
            return [None] * len(batch)
        except Exception:  # each of them goes alone, and meets its own part of what is wrong
            log.exception("batch_not_decided", requests=len(batch))
            return [None] * len(batch)
        self._used = time.monotonic()
        return rows

    def _keep(self, task: asyncio.Task[None]) -> None:
        """The loop itself holds its tasks but weakly."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _decide_alone(request: Request) -> Transaction:
    with own_connection():
        return decide_now(request.asked, request.until)


def _too_busy() -> LynceusError:
    return LynceusError(
        "too_busy",
        "Too many wait for a decision. Nothing was stored: send it again.",
        status=503,
        retryable=True,
        retry_after_s=RETRY_AFTER_S,
    )
