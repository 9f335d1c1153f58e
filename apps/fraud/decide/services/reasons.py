"""The reasons of a decision: those kept with it, and the model's where nobody has asked for them before."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from apps.core.errors import LynceusError
from apps.fraud.decide.services.earlier import earlier_of, every_earlier_of
from apps.fraud.decide.services.verdicts import as_rows
from apps.fraud.models import Decision, Evidence
from apps.fraud.serving.inference import predictor_of
from apps.fraud.serving.predictors import Predictor
from ml.fraud.contracts import NETWORK


def reasons_of(decision: Decision) -> list[dict[str, Any]]:
    """Rules first, then the model's.

    Of what was simply approved they are made now, from the vector it was made from and by the version that
    made it: the same as they would have been then. So are the earlier events that moved the network, as far
    as their vectors are kept. Only what is kept, where the decision's own vector or the version is gone.
    """
    kept = decision.reasons
    vector = _vector_of(decision)
    if not vector or _whole(kept):
        return kept
    try:
        predictor = _predictor(decision.artefact_hash)
    except LynceusError:
        return kept
    row = np.frombuffer(vector, "<f4")
    if not any(reason["weight"] is not None for reason in kept):
        [reasons] = predictor.explain(row[None, :])
        kept = kept + as_rows(reasons, {})
    if _whole(kept):
        return kept
    more = earlier_of(predictor, decision, row)
    return [
        reason | more if reason["code"] == NETWORK and reason["weight"] is not None else reason
        for reason in kept
    ]


def influences_of(decision: Decision) -> dict[int, float]:
    """By decision, what each earlier payment of the card moved the network by, in log-odds.

    All whose vectors are kept; the strongest that were told with the decision, where its own vector or the
    version that made it is gone.
    """
    if vector := _vector_of(decision):
        try:
            predictor = _predictor(decision.artefact_hash)
        except LynceusError:
            pass
        else:
            return every_earlier_of(predictor, decision, np.frombuffer(vector, "<f4"))
    told = [one for reason in decision.reasons for one in reason.get("earlier_events") or ()]
    return {one["decision"]: one["weight"] for one in told}


def _whole(reasons: list[dict[str, Any]]) -> bool:
    """Whether the model's are there, and of its network's what it is made of."""
    of_model = [reason for reason in reasons if reason["weight"] is not None]
    return bool(of_model) and all("earlier_events" in one for one in of_model if one["code"] == NETWORK)


def _vector_of(decision: Decision) -> bytes:
    try:
        return bytes(decision.evidence.features)
    except Evidence.DoesNotExist:
        return b""


@lru_cache(maxsize=4)
def _predictor(artefact_hash: str) -> Predictor:
    return predictor_of(artefact_hash)
