"""The reasons of a decision: those kept with it, and the model's where nobody has asked for them before."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from apps.core.errors import LynceusError
from apps.fraud.inference import Predictor, predictor_of
from apps.fraud.models import Decision, Evidence
from apps.fraud.services.verdicts import as_rows


def reasons_of(decision: Decision) -> list[dict[str, Any]]:
    """Rules first, then the model's.

    Of what was simply approved they are made now, from the vector it was made from and by the version that
    made it: the same as they would have been then. Only what is kept, where either of the two is gone.
    """
    kept = decision.reasons
    vector = _vector_of(decision)
    if not vector or any(reason["weight"] is not None for reason in kept):
        return kept
    try:
        predictor = _predictor(decision.artefact_hash)
    except LynceusError:
        return kept
    [reasons] = predictor.explain(np.frombuffer(vector, "<f4")[None, :])
    return kept + as_rows(reasons)


def _vector_of(decision: Decision) -> bytes:
    try:
        return bytes(decision.evidence.features)
    except Evidence.DoesNotExist:
        return b""


@lru_cache(maxsize=4)
def _predictor(artefact_hash: str) -> Predictor:
    return predictor_of(artefact_hash)
