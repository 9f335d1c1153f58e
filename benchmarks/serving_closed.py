"""Keep a fixed number of requests open, from a process of its own: each answer brings the next event.

`python -m benchmarks.serving_closed` reads an Errand as JSON and writes what it measured as JSON. Every event
has a card and a terminal of its own, so that whoever decides it knows nothing of either. The sender speaks
HTTP over bare asyncio protocols, a third of what streams cost, so that it is not the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.report import ROOT

MOST_PER_S = 6000  # events made ahead for each second: more than any side here takes
PATIENCE_S = 15.0  # for answers still open at the end


@dataclass(frozen=True, slots=True)
class Errand:
    """To a door for `seconds`, or each of `events` once. `listed`: the door takes {"events": [event]}."""

    port: int
    path: str
    seconds: float = 0
    connections: int = 64
    headers: dict[str, str] = field(default_factory=dict)
    listed: bool = False
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Brought:
    """`answers` are the decoded bodies, kept only for events that were given."""

    answered: int
    failed: int
    took_s: float
    latencies_ms: list[float]
    cpu_s: float
    answers: list[dict[str, Any]]
    modes: dict[str, int]


def send_closed(errand: Errand) -> Brought:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving_closed"], cwd=ROOT, input=json.dumps(asdict(errand)),
        text=True, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return Brought(**json.loads(done.stdout))


def lone_event() -> dict[str, Any]:
    name = uuid.uuid4().hex
    return {
        "event_id": name, "type": "authorization", "occurred_at": datetime.now(UTC).isoformat(),
        "card_token": f"tok-{name}", "amount_minor": 500 + int(name[:4], 16), "currency": "EUR",
        "merchant_id": f"m-{name}", "terminal_id": f"t-{name}", "mcc": "5411", "country": "BE",
        "entry_mode": "chip", "channel": "pos",
    }  # fmt: skip


def request_of(errand: Errand, event: dict[str, Any]) -> bytes:
    body = json.dumps({"events": [event]} if errand.listed else event).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in errand.headers.items())
    start = f"POST {errand.path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Type: application/json\r\n"
    return f"{start}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Round:
    """What all connections share: requests to come, answers that came, until when to ask."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.requests, self.until = requests, until
        self.answers: list[tuple[float, int, bytes]] = []  # seconds, status (0: cut off), body
        self.last = 0.0

    def next(self) -> bytes | None:
        return next(self.requests, None) if time.perf_counter() < self.until else None

    def heard(self, asked: float, status: int, body: bytes) -> None:
        self.last = time.perf_counter()
        self.answers.append((self.last - asked, status, body))


class Connection(asyncio.Protocol):
    def __init__(self, ours: Round) -> None:
        self.round, self.buffer, self.needed, self.open = ours, b"", 0, False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self) -> None:
        request = self.round.next()
        if request is None:
            self.transport.close()
            return
        self.open, self.asked = True, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.needed:
            head, blank, _ = self.buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            self.needed, self.status = len(head) + 4 + length, int(head[9:12])
            self.body_at = len(head) + 4
        if len(self.buffer) >= self.needed:
            self.round.heard(self.asked, self.status, self.buffer[self.body_at :])
            self.buffer, self.needed, self.open = b"", 0, False
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.open:
            self.round.heard(self.asked, 0, b"")
        self.ended.set_result(None)


async def bring(errand: Errand) -> Brought:
    events = errand.events or [lone_event() for _ in range(int(errand.seconds * MOST_PER_S))]
    requests = [request_of(errand, event) for event in events]
    shared = Round(iter(requests), time.perf_counter() + (errand.seconds or PATIENCE_S))
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Connection(shared), "127.0.0.1", errand.port)
        for _ in range(errand.connections)
    ]
    cpu, start = time.process_time(), time.perf_counter()
    shared.until = start + (errand.seconds or PATIENCE_S)
    for _, connection in opened:
        connection.ask()
    ends = [connection.ended for _, connection in opened]
    await asyncio.wait(ends, timeout=errand.seconds + PATIENCE_S)
    return _brought(errand, shared, start, time.process_time() - cpu, sum(not end.done() for end in ends))


def _brought(errand: Errand, shared: Round, start: float, cpu_s: float, unheard: int) -> Brought:
    good = [(seconds, json.loads(body)) for seconds, status, body in shared.answers if status == 200]
    modes: dict[str, int] = {}
    for _, body in good:
        if not errand.listed and (mode := body.get("mode")):
            modes[mode] = modes.get(mode, 0) + 1
    return Brought(
        answered=len(good), failed=len(shared.answers) - len(good) + unheard, took_s=shared.last - start,
        latencies_ms=sorted(seconds * 1e3 for seconds, _ in good), cpu_s=cpu_s, modes=modes,
        answers=[body[0] if errand.listed else body for _, body in good] if errand.events else [],
    )  # fmt: skip


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(bring(Errand(**json.load(sys.stdin))))), sys.stdout)
