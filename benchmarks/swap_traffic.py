"""Steady requests through the product's doors for as long as something else lasts, and what was answered."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
from standardwebhooks import Webhook

from benchmarks.serving_load import event

CARDS = 400  # so few that the network's memory of them is carried from version to version
BOUNDARY = "frontier"
PATIENCE_S = 30.0


@dataclass(slots=True)
class Heard:
    """`ids` of what was taken; what was told of it: version and score; how many requests failed."""

    ids: list[str] = field(default_factory=list)
    told: dict[str, tuple[int | None, float | None]] = field(default_factory=dict)
    failed: int = 0


class Door(Protocol):
    def ask(self, client: httpx.Client) -> tuple[list[str], httpx.Response]:
        """One request: the ids of what it carries, and the answer."""


def payment(prefix: str) -> dict[str, Any]:
    dice = random.Random()  # noqa: S311 - no secret
    return event(dice) | {"card_token": f"{prefix}-{dice.randrange(CARDS)}"}


@dataclass(frozen=True, slots=True)
class Decisions:
    """The synchronous door, one event a request, on cards of its own."""

    prefix: str
    headers: dict[str, str]

    def ask(self, client: httpx.Client) -> tuple[list[str], httpx.Response]:
        one = payment(self.prefix)
        return [one["event_id"]], client.post("/api/v1/decisions", json=one, headers=self.headers)


@dataclass(frozen=True, slots=True)
class Transactions:
    """The webhook, signed; what it takes is decided by a worker."""

    prefix: str
    source: str
    secret: str
    events: int = 10

    def ask(self, client: httpx.Client) -> tuple[list[str], httpx.Response]:
        sent = [payment(self.prefix) for _ in range(self.events)]
        content, name, moment = json.dumps(sent), uuid.uuid4().hex, datetime.now(UTC)
        headers = {
            "content-type": "application/json", "lynceus-source": self.source, "webhook-id": name,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(name, moment, content),
        }  # fmt: skip
        return [one["event_id"] for one in sent], client.post(
            "/api/v1/transactions", content=content, headers=headers
        )


@dataclass(frozen=True, slots=True)
class Films:
    """STOW-RS, one film a request; `draw` makes one (SOPInstanceUID, file) that was never sent."""

    token: str
    draw: Callable[[], tuple[str, bytes]]

    def ask(self, client: httpx.Client) -> tuple[list[str], httpx.Response]:
        uid, film = self.draw()
        head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        content = head + film + f"\r\n--{BOUNDARY}--\r\n".encode()
        return [uid], client.post("/dicom-web/studies", content=content, headers=headers)


@contextmanager
def traffic(url: str, door: Door, rate_per_s: float, senders: int) -> Iterator[Heard]:
    """Requests of `senders` together at this rate until the block ends; each waits for its answer."""
    heard, over, lock = Heard(), threading.Event(), threading.Lock()

    def send(first_due: float) -> None:
        due = first_due
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            while not over.wait(max(0.0, due - time.monotonic())):
                due = max(due + senders / rate_per_s, time.monotonic() - 1.0)
                _ask(client, door, heard, lock)

    begun = time.monotonic()
    with ThreadPoolExecutor(senders) as pool:
        at_work = [pool.submit(send, begun + number / rate_per_s) for number in range(senders)]
        try:
            yield heard
        finally:
            over.set()
    for one in at_work:
        one.result()


def _ask(client: httpx.Client, door: Door, heard: Heard, lock: threading.Lock) -> None:
    try:
        ids, answer = door.ask(client)
    except httpx.HTTPError:
        with lock:
            heard.failed += 1
        return
    with lock:
        if not answer.is_success:
            heard.failed += 1
            return
        heard.ids += ids
        told = answer.json()
        if isinstance(told, dict) and "score" in told:
            heard.told[ids[0]] = told["model_version"], told["score"]
