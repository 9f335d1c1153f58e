"""Send events at fixed moments from a process of its own, and say how each was answered.

`python -m benchmarks.serving_load` reads a Load and where to send it as JSON, and writes what it measured as
JSON, so that its processor time is not the server's.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from standardwebhooks import Webhook

from benchmarks.report import ROOT

# So many cards that hardly any pays again and again in ten minutes: a rule, as it should, has such a card
# reviewed, and a desk where half of all wants a person is not the one to measure.
CARDS, TERMINALS = 300_000, 5_000
ZIPF = list(accumulate(1 / rank for rank in range(1, TERMINALS + 1)))
LATE_S = 10.0  # how long after the last moment answers are still waited for


@dataclass(frozen=True, slots=True)
class Load:
    """`rate` requests a second over `connections`, each of `events` events, for `seconds`."""

    door: str  # decisions or transactions
    rate: float
    seconds: float
    events: int = 1
    connections: int = 64
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Sent:
    """Latencies in ms from the moment each request was due; ids of the events that were answered 2xx."""

    latencies_ms: list[float]
    answered: list[str]
    modes: dict[str, int]
    failed: int
    took_s: float
    cpu_s: float


def send(
    load: Load,
    port: int,
    headers: dict[str, str],
    secret: str = "",
    events: Sequence[dict[str, Any]] | None = None,
) -> Sent:
    """Runs the sender beside this process. With a webhook secret, each request is signed.

    `events` are sent in place of ones made up.
    """
    asked = {"load": asdict(load), "port": port, "headers": headers, "secret": secret, "events": events}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving_load"], cwd=ROOT, input=json.dumps(asked), text=True,
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return Sent(**json.loads(done.stdout))


def requests_of(
    load: Load, headers: dict[str, str], secret: str, given_events: Sequence[dict[str, Any]] | None
) -> list[tuple[list[str], bytes]]:
    """Made before the clock starts: (event ids, the request's bytes)."""
    rng = random.Random(load.seed + int(load.rate))  # noqa: S311 - no secret
    count = round(load.rate * load.seconds)
    every = given_events or [event(rng) for _ in range(count * load.events)]
    made = []
    for number in range(count):
        events = every[number * load.events : (number + 1) * load.events]
        body = json.dumps(events[0] if load.events == 1 else events).encode()
        given = {**headers, **(_signed(body, secret) if secret else {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        start = f"POST /api/v1/{load.door} HTTP/1.1\r\nHost: localhost\r\n{head}"
        start += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        made.append(([one["event_id"] for one in events], start.encode() + body))
    return made


def _signed(body: bytes, secret: str) -> dict[str, str]:
    name, moment = uuid.uuid4().hex, datetime.now(UTC)
    signature = Webhook(secret).sign(name, moment, body.decode())
    return {
        "webhook-id": name, "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }  # fmt: skip


def event(rng: random.Random) -> dict[str, Any]:
    """Cards evenly, terminals by Zipf: the k-th busiest sees 1/k of what the busiest does, a ninth of all."""
    terminal = rng.choices(range(1, TERMINALS + 1), cum_weights=ZIPF)[0]
    return {
        "event_id": uuid.uuid4().hex, "type": "authorization", "occurred_at": datetime.now(UTC).isoformat(),
        "card_token": f"tok-{rng.randrange(CARDS)}", "amount_minor": int(rng.lognormvariate(8, 1)),
        "currency": "EUR", "merchant_id": f"m-{terminal // 3}", "terminal_id": f"t-{terminal}", "mcc": "5411",
        "country": "BE", "entry_mode": "chip", "channel": "pos",
    }  # fmt: skip


async def measure(
    load: Load,
    port: int,
    headers: dict[str, str],
    secret: str,
    events: Sequence[dict[str, Any]] | None = None,
) -> Sent:
    waiting = requests_of(load, headers, secret, events)
    results: list[tuple[float, int, list[str], dict[str, Any]]] = []
    queue: asyncio.Queue[tuple[float, list[str], bytes]] = asyncio.Queue()
    workers = [asyncio.create_task(_connection(port, queue, results)) for _ in range(load.connections)]
    await asyncio.sleep(0.2)
    cpu, start = time.process_time(), time.perf_counter()
    for number, (ids, request) in enumerate(waiting):
        due = start + number / load.rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        queue.put_nowait((due, ids, request))
    with suppress(TimeoutError):  # what is still open counts as failed
        await asyncio.wait_for(queue.join(), LATE_S)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    for worker in workers:
        worker.cancel()
    good = [(latency, ids, body) for latency, status, ids, body in results if 200 <= status < 300]
    modes: dict[str, int] = {}
    for _, _, body in good:
        if mode := body.get("mode"):
            modes[mode] = modes.get(mode, 0) + 1
    return Sent(
        latencies_ms=[latency * 1e3 for latency, _, _ in good],
        answered=[one for _, ids, _ in good for one in ids], modes=modes,
        failed=len(waiting) - len(good), took_s=took, cpu_s=cpu,
    )  # fmt: skip


async def _connection(port: int, queue: Any, results: list[Any]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        due, ids, request = await queue.get()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        status = int(head.split(b" ", 2)[1])
        results.append((time.perf_counter() - due, status, ids, json.loads(body)))
        queue.task_done()


if __name__ == "__main__":
    given = json.load(sys.stdin)
    given["load"] = Load(**given["load"])
    outcome = asyncio.run(measure(**given))
    json.dump(asdict(outcome), sys.stdout)
