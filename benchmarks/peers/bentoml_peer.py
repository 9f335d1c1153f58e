"""BentoML, batching by its own adaptive batching; `python -m bentoml serve` runs it."""

from __future__ import annotations

from typing import Any

import bentoml

from benchmarks.peers.scoring import BATCH, WORKERS, scorer

# What would take longer is refused; how long to wait for company it finds out itself.
LATENCY_MAX_MS = 2000


@bentoml.service(
    workers=WORKERS,
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Peer:
    def __init__(self) -> None:
        self.scorer = scorer()

    @bentoml.api(route="/score", batchable=BATCH > 1, max_batch_size=BATCH, max_latency_ms=LATENCY_MAX_MS)
    def score(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A request brings a list, as batches do here; this comparison's requests bring one event."""
        return self.scorer.answers(events)
