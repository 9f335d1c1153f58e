"""What every peer does with a batch: events as they were sent in, scores of the artefact out.

How a peer is set up comes from the environment: PEER_ARTEFACT (folder), PEER_DATABASE (URL of where rows are
kept, empty for the model only), PEER_PORT, PEER_WORKERS, PEER_BATCH and PEER_WAIT_MS.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.peers.writing import Writer
from ml.fraud.contracts import Event
from ml.fraud.predict import FraudPredictor

Sent = dict[str, Any]
PORT = int(os.environ["PEER_PORT"])
WORKERS = int(os.environ["PEER_WORKERS"])
BATCH = int(os.environ["PEER_BATCH"])
WAIT_S = float(os.environ["PEER_WAIT_MS"]) / 1e3
DURABLE = bool(os.environ["PEER_DATABASE"])


@dataclass(frozen=True, slots=True)
class Scorer:
    predictor: FraudPredictor
    writer: Writer | None

    def answers(self, batch: Sequence[Sent]) -> list[Sent]:
        """In the order of the events; with a writer, committed before they are returned."""
        events = [event_of(sent) for sent in batch]
        # No states: in this comparison each event's card and terminal are new.
        scores = self.predictor.score_batch(events, {}, explain=False).scores
        answers = [
            {"event_id": score.event_id, "decision": self._decision(score.score), "score": score.score}
            for score in scores
        ]
        if self.writer:
            self.writer.write(batch, scores, [answer["decision"] for answer in answers])
        return answers

    def _decision(self, score: float) -> str:
        limits = self.predictor.thresholds
        if score >= limits.decline:
            return "decline"
        return "review" if score >= limits.review else "approve"


@cache
def scorer() -> Scorer:
    """One a process, with a connection of its own."""
    predictor = FraudPredictor.load(Path(os.environ["PEER_ARTEFACT"]))
    return Scorer(predictor, Writer(os.environ["PEER_DATABASE"], predictor) if DURABLE else None)


def event_of(sent: Sent) -> Event:
    """The amount is in the reporting currency already: this comparison sends no other."""
    at = datetime.fromisoformat(sent["occurred_at"])
    return Event(
        event_id=sent["event_id"],
        type=sent["type"],
        occurred_at_us=int(at.timestamp()) * 1_000_000 + at.microsecond,
        card_token=sent["card_token"],
        amount_minor=sent["amount_minor"],
        currency=sent["currency"],
        merchant_id=sent["merchant_id"],
        terminal_id=sent["terminal_id"],
        mcc=sent["mcc"],
        country=sent["country"],
        entry_mode=sent["entry_mode"],
        channel=sent["channel"],
    )
