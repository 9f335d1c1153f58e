"""A file scored in parts is what was scored one by one as it came."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from ml.fraud.clock import with_offsets
from ml.fraud.contracts import Label
from ml.fraud.evaluate import score_history
from ml.fraud.predict import FraudPredictor
from ml.fraud.scoring import Heard, heard_in, score_part

ROWS, PART = 1500, 211


@pytest.fixture(scope="module")
def predictor(trained) -> FraudPredictor:
    return FraudPredictor.load(trained.artefact_dir)


@pytest.fixture(scope="module")
def frame(history) -> pd.DataFrame:
    """Labels are known within the file, some payments are taken back; half have no label."""
    some = history.iloc[:ROWS].reset_index(drop=True)
    hour = pd.to_timedelta(5, unit="h")
    some["label_known_at"] = some["occurred_at"] + hour
    some.loc[some.index % 2 == 0, "fraud"] = pd.NA
    at_us = some["occurred_at"].astype("int64")
    some["taken_back"] = [
        json.dumps([[int(us) + 7_200_000_000, int(minor)]]) if row % 20 == 0 else ""
        for row, (us, minor) in enumerate(zip(at_us, some["amount_minor"], strict=True))
    ]
    return with_offsets(some, "Europe/Brussels")


def in_parts(predictor: FraudPredictor, frame: pd.DataFrame, heard: Heard) -> np.ndarray:
    kept: dict[str, bytes] = {}
    scores: list[float] = []

    def ask(keys: Iterable[str]) -> dict[str, bytes]:
        return {key: kept[key] for key in keys if key in kept}

    for start in range(0, len(frame), PART):
        part, states = score_part(predictor, frame, heard, start, min(start + PART, len(frame)), ask)
        scores += part
        kept.update(states)
    return np.array(scores)


def test_it_is_as_in_service_whatever_becomes_known_in_between(predictor, frame) -> None:
    heard = heard_in(frame)
    assert len(heard.labels) > 500
    assert len(heard.reversals) > 50
    np.testing.assert_allclose(in_parts(predictor, frame, heard), score_history(predictor, frame), atol=1e-9)


def test_without_what_became_known_it_would_differ(predictor, frame) -> None:
    none = np.array([], np.int64)
    labels: list[Label] = []
    blind = in_parts(predictor, frame, Heard(labels, none, [], none))
    assert np.abs(blind - score_history(predictor, frame)).max() > 1e-4
