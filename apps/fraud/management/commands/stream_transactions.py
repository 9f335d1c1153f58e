from __future__ import annotations

import heapq
import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.fraud.signatures import sign
from apps.fraud.validation import EVENTS_MAX

Sent = tuple[dict[str, Any], bool]
LABEL_DELAY = timedelta(days=7)


class Command(BaseCommand):
    help = "Play the simulator, and later what became known, through the signed doors of a running server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rate", type=float, default=20.0, help="Events a second, up to 2000.")
        parser.add_argument("--seconds", type=float, default=0.0, help="Stop after so long; 0 goes on.")
        parser.add_argument("--url", default="", help="The server's base URL. Default: the running demo's.")
        parser.add_argument("--source", default="", help="The source's slug. Default: the running demo's.")
        parser.add_argument(
            "--secret-env", default="LYNCEUS_WEBHOOK_SECRET", help="Variable with its secret."
        )
        parser.add_argument("--seed", type=int, default=int(time.time()))

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.fraud.simulator import stream

        rate = options["rate"]
        if not 0 < rate <= 2000:
            raise CommandError("The rate must lie above 0 and not above 2000 events a second.")
        url, source, secret = _target(options)
        sent = 0
        with httpx.Client(base_url=url, timeout=10) as client:
            known = _Known()
            for batch in _paced(stream(seed=options["seed"]), rate, options["seconds"]):
                self._post(client, "transactions", source, secret, [event for event, _ in batch])
                if labels := known.after(batch):
                    self._post(client, "labels", source, secret, labels)
                sent += len(batch)
        self.stdout.write(f"Sent {sent} events and {known.told} labels.")

    def _post(
        self, client: httpx.Client, door: str, source: str, secret: str, batch: list[dict[str, Any]]
    ) -> None:
        body, webhook_id, at = json.dumps(batch).encode(), f"msg_{uuid.uuid4().hex}", int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(secret, webhook_id, at, body),
            "lynceus-source": source,
        }
        try:
            answer = client.post(f"/api/v1/{door}", content=body, headers=headers)
        except httpx.HTTPError as error:
            raise CommandError(f"The server cannot be reached: {type(error).__name__}.") from error
        if answer.status_code != 202:
            raise CommandError(f"The server answered {answer.status_code}: {answer.text[:300]}")


def _target(options: dict[str, Any]) -> tuple[str, str, str]:
    """(base URL, source, secret), from the arguments or from the demo that runs here."""
    secret = os.environ.get(options["secret_env"], "")
    if options["url"] and options["source"] and secret:
        return options["url"], options["source"], secret
    try:
        demo = json.loads((Path(settings.VAR_DIR) / "demo.json").read_text())
    except (OSError, ValueError):
        variable = options["secret_env"]
        raise CommandError(
            f"No demo runs here: give --url and --source, and put the source's secret into {variable}."
        ) from None
    source = options["source"] or demo["webhook"]["source"]
    return options["url"] or demo["base_url"], source, secret or demo["webhook"]["secret"]


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
