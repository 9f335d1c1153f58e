"""How large a fraud artefact is, and how long it takes for one payment and for sixteen, on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml.common.speed import median_ms
from ml.fraud.contracts import Vector
from ml.fraud.predict import FraudPredictor


def measure_speed(folder: Path, expected_hash: str) -> dict[str, float]:
    """`ms_1` and `ms_16` of trees, network and calibration for features at hand. Raises ArtefactError."""
    predictor = FraudPredictor.load(folder, expected_hash)

    def score(n: int) -> Vector:
        features = np.tile(predictor.usual[:-1], (n, 1))
        margins = predictor.tree_margins(features)
        added = [
            predictor.gru.step(row, margin, None)[0] for row, margin in zip(features, margins, strict=True)
        ]
        return np.asarray(predictor.probabilities(margins + np.array(added, np.float32)), np.float32)

    return {"ms_1": median_ms(lambda: score(1)), "ms_16": median_ms(lambda: score(16))}
