"""Clients that send through both doors at once and, told of no success, send the same again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from tests.integration.running import Running

CLIENTS, LIST = 4, 20
PATIENCE_S = 90.0  # longer than any part of the product is away
PAUSE_S = 0.1
Event = dict[str, Any]


class Storm:
    """`accepted`: ids of events answered 2xx; `answers`: what the synchronous door said of them."""

    def __init__(self, demo: Running, events: list[Event]) -> None:
        self.demo = demo
        self.events = events
        self.accepted: set[str] = set()
        self.answers: dict[str, dict[str, Any]] = {}
        self.sent_again = 0
        self._pause = threading.Event()

    @contextmanager
    def blowing(self) -> Iterator[None]:
        """Until everything was answered; a client's failure is the caller's."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            at_work: list[Future[None]] = [
                pool.submit(self._by_webhook if number % 2 else self._one_by_one, part)
                for number, part in enumerate(self._parts())
            ]
            yield
        for one in at_work:
            one.result()

    def _parts(self) -> Iterator[list[Event]]:
        return (self.events[at : at + LIST] for at in range(0, len(self.events), LIST))

    def _by_webhook(self, part: list[Event]) -> None:
        self._until_taken(lambda: self.demo.send_events(part))
        self.accepted.update(one["event_id"] for one in part)

    def _one_by_one(self, part: list[Event]) -> None:
        with self.demo.as_program() as client:
            for one in part:
                answer = self._until_taken(lambda one=one: client.post("/api/v1/decisions", json=one))
                self.answers[one["event_id"]] = answer.json()
                self.accepted.add(one["event_id"])

    def _until_taken(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                answer = send()
                if answer.status_code < 500:
                    assert answer.is_success, answer.text
                    return answer
            except httpx.TransportError:
                pass  # its process died: whether it was stored nobody knows
            self.sent_again += 1
            self._pause.wait(PAUSE_S)
        raise AssertionError(f"not taken within {PATIENCE_S:.0f} s")
