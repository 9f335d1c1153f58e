"""What an event costs by how long its card's history is, and how fast history goes through the reducer."""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from benchmarks.serving_load import Load, event, send
from benchmarks.serving_place import Place, any_pending, cpu_s, postgres, running, worker

LONG, SHORT = 10_000, 10
ASKED, ROUNDS = 60, 6  # events of each kind in a round
APART = timedelta(minutes=13)
SPAN = timedelta(days=27)  # within the longest window, and within what is still applied
PATIENCE_S = 120.0


def history_row(place: Place, server: psutil.Process, headers: dict[str, str], secret: str) -> dict[str, Any]:
    """CPU-ms of web process and database for one decision on a card with LONG events, and with SHORT.

    Kinds take turns, forwards and backwards. Each card's events are spread over SPAN, and those asked of both
    kinds lie APART, so that what differs is the length of the history and not whether a rule against many
    payments within ten minutes has them reviewed, which costs their reasons.
    """
    long, short = ["long"], [f"short-{number}" for number in range(ASKED * ROUNDS)]
    _fill(place, secret, [past("long", number, LONG) for number in range(LONG)])
    _fill(place, secret, [past(card, number, SHORT) for card in short for number in range(SHORT)])
    used: dict[str, list[float]] = {"long": [], "short": []}
    for number in range(ROUNDS):
        part = short[number * ASKED : (number + 1) * ASKED]
        kinds = [("long", long * ASKED), ("short", part)]
        for kind, cards in kinds if number % 2 == 0 else kinds[::-1]:
            used[kind].append(_cost_ms(place, server, headers, cards, number * ASKED))
    ratios = [a / b for a, b in zip(used["long"], used["short"], strict=True)]
    return {
        "door": "decisions, by history", "long_cpu_ms": statistics.median(used["long"]),
        "short_cpu_ms": statistics.median(used["short"]), "cost_ratio_10k_vs_10": statistics.median(ratios),
        "ratio_low": min(ratios), "ratio_high": max(ratios),
    }  # fmt: skip


def past(card: str, number: int, of: int) -> dict[str, Any]:
    rng = random.Random(f"{card}-{number}")  # noqa: S311 - no secret
    at = datetime.now(UTC) - SPAN + SPAN * (number / of)
    return event(rng) | {"card_token": card, "occurred_at": at.isoformat()}


def _fill(place: Place, secret: str, events: list[dict[str, Any]]) -> None:
    """Through the webhook, and decided."""
    with running(place, "-m", "demo.redis"), worker(place, 1):
        send(Load("transactions", 10, len(events) / 1000, events=100, connections=1), place.port,
             {"lynceus-source": place.source}, secret, events)  # fmt: skip
        end = time.monotonic() + PATIENCE_S
        while any_pending(place):
            if time.monotonic() > end:
                raise SystemExit(f"The histories were not decided within {PATIENCE_S:.0f} s.")
            time.sleep(0.2)


def _cost_ms(
    place: Place, server: psutil.Process, headers: dict[str, str], cards: list[str], first: int
) -> float:
    database = postgres(place)
    rng, at = random.Random(), datetime.now(UTC)  # noqa: S311 - no secret
    events = [
        event(rng) | {"card_token": card, "occurred_at": (at - APART * number).isoformat()}
        for number, card in enumerate(cards, first)
    ]
    before = cpu_s(server) + cpu_s(database)
    sent = send(Load("decisions", 50, len(cards) / 50, connections=1), place.port, headers, "", events)
    if sent.failed:
        raise SystemExit(f"{sent.failed} decisions were not answered.")
    return (cpu_s(server) + cpu_s(database) - before) / len(cards) * 1e3
