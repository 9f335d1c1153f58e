"""Which earlier payments of its card moved the network's part of a decision.

Found from the vectors that are kept of them: the card's latest payments that had happened and were decided
before. What the network remembers beyond those, or heard of otherwise, is told as one sum.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from apps.core.sql import Answered, from_column, round_trip, run, to_column
from apps.fraud.decide.services.verdicts import Judged
from apps.fraud.models import Decision, Mode, Transaction
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import Champion, Matrix, Predictor
from ml.fraud.contracts import NETWORK, Influence, Vector

LATEST = 30  # of a card's payments; beyond, a network of this kind remembers next to nothing
TOLD = 5
Kept = tuple[int, bytes]  # a decision's key, and the vector it was made from


@dataclass(frozen=True, slots=True)
class Earlier:
    """One of the card's payments; `vector` float32 (n_features + 1,)."""

    decision_id: int
    source_id: int
    event_id: str
    occurred_at: datetime
    vector: Vector


def with_earlier(
    model: Champion,
    site_id: int,
    judged: list[Judged],
    decision_ids: Sequence[int],
    until: float | None,
) -> list[Judged]:
    """With the earlier payments that moved the network wherever its part is among the reasons; as they are
    where there is no time left."""
    wanted = {at: item.score.vector for at, item in enumerate(judged) if item.score and _of_network(item)}
    if not wanted or (until is not None and time.monotonic() >= until):
        return judged
    beside = {
        item.row.pk: (pk, item.score.vector.tobytes())
        for pk, item in zip(decision_ids, judged, strict=True)
        if item.score and item.mode == Mode.FULL
    }
    with round_trip():
        asked = [_ask(site_id, judged[at].row) for at in wanted]
    histories = [
        _history(one, decision_ids[at], vector, beside)
        for one, (at, vector) in zip(asked, wanted.items(), strict=True)
    ]
    vectors = list(wanted.values())
    matrices = [_matrix(history, one) for history, one in zip(histories, vectors, strict=True)]
    found = inference.influences_in_time(model, vectors, matrices, until)
    told = {
        at: replace(judged[at], network=_row(parts, history))
        for at, parts, history in zip(wanted, found, histories, strict=False)
    }
    return [told.get(at, item) for at, item in enumerate(judged)]


def earlier_of(predictor: Predictor, decision: Decision, vector: Vector) -> dict[str, Any]:
    """The same of a decision that is there already, from what is still kept: members of the reason NETWORK.

    Empty for one that was made without the card's history.
    """
    return _row(*_parts(predictor, decision, vector)) if decision.mode == Mode.FULL else {}


def every_earlier_of(predictor: Predictor, decision: Decision, vector: Vector) -> dict[int, float]:
    """By decision, what each of the card's latest payments moved the network by, in log-odds."""
    if decision.mode != Mode.FULL:
        return {}
    parts, history = _parts(predictor, decision, vector)
    return {one.decision_id: weight for one, weight in zip(history, parts.of_earlier, strict=True)}


def _parts(predictor: Predictor, decision: Decision, vector: Vector) -> tuple[Influence, list[Earlier]]:
    row = decision.transaction
    history = _history(_ask(row.source.site_id, row), decision.pk, vector, {})
    [parts] = predictor.influences(vector[None, :], [_matrix(history, vector)])
    return parts, history


def _of_network(item: Judged) -> bool:
    reasons = item.score.reasons if item.score else ()
    return item.mode == Mode.FULL and any(reason.code == NETWORK for reason in reasons)


def _ask(site_id: int, row: Transaction) -> Answered:
    # Only what the states moved with: a payment decided without them they heard of in another form, or never.
    return run(
        "SELECT t.id, t.source_id, t.event_id, t.occurred_at, d.id, e.features FROM ("
        " SELECT id, source_id, event_id, occurred_at FROM fraud_transaction"
        " WHERE card_token = %s AND occurred_at <= %s AND id <> %s AND type IN ('authorization', 'advice')"
        " AND source_id IN (SELECT id FROM fraud_source WHERE site_id = %s)"
        # A parameter: the plan PostgreSQL then keeps reads the index from the newest on. Where it knows the
        # limit it reads all of a card, which it takes to be short, and sorts.
        " ORDER BY occurred_at DESC LIMIT %s) AS t"
        " LEFT JOIN fraud_decision AS d ON d.transaction_id = t.id AND d.mode = 'full'"
        " LEFT JOIN fraud_evidence AS e ON e.decision_id = d.id",
        [row.card_token, to_column(row.occurred_at), row.pk, site_id, LATEST],
    )


def _history(asked: Answered, decision_id: int, vector: Vector, beside: Mapping[int, Kept]) -> list[Earlier]:
    """In the order of deciding, which is the order the network heard of them in; `beside` are those of the
    same batch, by transaction. Vectors of an earlier layout are passed over."""
    found = []
    for pk, source_id, event_id, at, *kept in asked.fetchall():
        decided, features = beside.get(pk) or kept
        if decided is not None and decided < decision_id and features and len(features) == vector.nbytes:
            of_it = np.frombuffer(bytes(features), "<f4")
            found.append(Earlier(decided, source_id, event_id, from_column(at), of_it))
    return sorted(found, key=lambda one: one.decision_id)


def _matrix(history: Sequence[Earlier], like: Vector) -> Matrix:
    return np.array([one.vector for one in history], np.float32).reshape(-1, len(like))


def _row(parts: Influence, history: Sequence[Earlier]) -> dict[str, Any]:
    """The strongest by name and the others as one sum, so that all add up to the reason's weight."""
    ranked = sorted(zip(parts.of_earlier, history, strict=True), key=lambda pair: -abs(pair[0]))
    return {
        "this_event": parts.by_itself,
        "earlier_events": [
            {
                "source": one.source_id, "decision": one.decision_id, "event_id": one.event_id,
                "occurred_at": one.occurred_at.isoformat(), "weight": weight,
            }
            for weight, one in ranked[:TOLD]
        ],
        "other_events": parts.rest + sum(weight for weight, _ in ranked[TOLD:]),
    }  # fmt: skip
