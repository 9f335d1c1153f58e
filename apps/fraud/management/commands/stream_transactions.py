from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.words import counted
from apps.fraud.wire.playing import Sender, add_target
from apps.fraud.wire.validation import EVENTS_MAX

Sent = tuple[dict[str, Any], bool]
LABEL_DELAY = timedelta(days=7)


class Command(BaseCommand):
    help = "Play the simulator, and later what became known, through the signed doors of a running server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rate", type=float, default=20.0, help="Events a second, up to 2000.")
        parser.add_argument("--seconds", type=float, default=0.0, help="Stop after so long; 0 goes on.")
        add_target(parser)
        parser.add_argument("--seed", type=int, default=int(time.time()))

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.fraud.simulator import stream

        rate = options["rate"]
        if not 0 < rate <= 2000:
            raise CommandError("The rate must lie above 0 and not above 2000 events a second.")
        sent = 0
        with Sender(options) as sender:
            known = _Known()
            for batch in _paced(stream(seed=options["seed"]), rate, options["seconds"]):
                sender.post("transactions", [event for event, _ in batch])
                if labels := known.after(batch):
                    sender.post("labels", labels)
                sent += len(batch)
        self.stdout.write(f"Sent {counted(sent, 'event')} and {counted(known.told, 'label')}.")


class _Known:
    """What the issuer tells when the simulated clock has gone on by a week."""

    def __init__(self) -> None:
        self.told = 0
        self._waiting: list[tuple[datetime, str, bool]] = []

    def after(self, batch: list[Sent]) -> list[dict[str, Any]]:
        """The labels that are known once these events happened."""
        for event, fraud in batch:
            known_at = datetime.fromisoformat(event["occurred_at"]) + LABEL_DELAY
            heapq.heappush(self._waiting, (known_at, event["event_id"], fraud))
        clock = datetime.fromisoformat(batch[-1][0]["occurred_at"])
        labels: list[dict[str, Any]] = []
        while self._waiting and self._waiting[0][0] <= clock and len(labels) < EVENTS_MAX:
            at, event_id, fraud = heapq.heappop(self._waiting)
            labels.append(
                {"event_id": event_id, "fraud": fraud, "source": "issuer", "known_at": at.isoformat()}
            )
        self.told += len(labels)
        return labels


def _paced(events: Iterator[Sent], rate: float, seconds: float) -> Iterator[list[Sent]]:
    """Batches at the wanted rate, four a second where the rate allows."""
    size = max(1, round(rate / 4))
    start, sent = time.monotonic(), 0
    while not seconds or time.monotonic() - start < seconds:
        yield [next(events) for _ in range(size)]
        sent += size
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))
