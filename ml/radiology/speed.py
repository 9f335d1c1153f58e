"""How long a film model takes for one film and for sixteen, on this machine's CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml.common.speed import median_ms
from ml.radiology.predict import RadiologyPredictor


def measure_speed(folder: Path, expected_hash: str) -> dict[str, float]:
    """`ms_1` and `ms_16` of the network as it serves, for squares at hand. Raises ArtefactError."""
    predictor = RadiologyPredictor.load(folder, expected_hash)
    side = predictor.preprocessing.side
    squares = np.zeros((16, side, side), np.uint8)
    return {
        "ms_1": median_ms(lambda: predictor.logits(squares[:1])),
        "ms_16": median_ms(lambda: predictor.logits(squares)),
    }
