"""What makes findings of a network's outputs, learnt on validation through the very session that serves.

Each form of a network (full precision, 8-bit integers) has its own: a threshold carried over is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.artefact import npz_bytes
from ml.radiology.dataset import Films
from ml.radiology.imagegate import SEEN, ImageGate, learn_gate
from ml.radiology.operating import operating_points, temperatures
from ml.radiology.predict import calibrated, onnx_logits, onnx_outputs
from ml.radiology.synthetic import synthetic_film
from ml.radiology.transforms import Bytes, Preprocessing

GOLDEN_SEED = 2026
GATE_FILMS = 1000
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Rows:
    """Which films teach, which validate and which of those calibrate; `patients` has one name a film."""

    train: Ints
    val: Ints
    calibrating: Ints
    patients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Readout:
    """`temperature` (labels,), `points` the operating point of each label or None."""

    session: Any
    preprocessing: Preprocessing
    temperature: Floats
    points: list[float | None]
    gate: ImageGate

    def logits(self, squares: Bytes) -> Floats:
        return onnx_logits(self.session, self.preprocessing, squares)

    def scores(self, squares: Bytes) -> Floats:
        """Probabilities (n, labels)."""
        return calibrated(self.logits(squares), self.temperature)

    def meta(self, labels: Sequence[str]) -> dict[str, Any]:
        return {
            "temperature": dict(zip(labels, self.temperature.tolist(), strict=True)),
            "operating_points": dict(zip(labels, self.points, strict=True)),
        }

    def files(self, head: Floats, squares: Bytes) -> dict[str, bytes]:
        """gate.npz, with the head's weights for the attention, and golden.npz with what `squares` give."""
        return {
            "gate.npz": npz_bytes(**self.gate.arrays(), head=head),
            "golden.npz": self._golden(squares),
        }

    def _golden(self, squares: Bytes) -> bytes:
        seen: Mapping[str, Floats] = onnx_outputs(self.session, self.preprocessing, squares, *SEEN)
        return npz_bytes(
            film=golden_films()[0], square=squares[:1], squares=squares,
            logits=seen["logits"].astype(np.float64),
            unusual=ImageGate.from_arrays(self.gate.arrays()).scores(seen),
        )  # fmt: skip


def learn_readout(session: Any, films: Films, rows: Rows, target_sensitivity: float) -> Readout:
    """Temperature on its fold, operating points on all of validation; the image gate from training films
    evenly picked, its limit on all of validation."""
    preprocessing = films.preprocessing
    logits = onnx_logits(session, preprocessing, films.squares[rows.calibrating])
    temperature = temperatures(logits, films.labels[rows.calibrating])
    scores = calibrated(onnx_logits(session, preprocessing, films.squares[rows.val]), temperature)
    patients = [rows.patients[row] for row in rows.val]
    points = operating_points(films.labels[rows.val], scores, patients, target_sensitivity)
    taught = rows.train[:: max(1, len(rows.train) // GATE_FILMS)]
    features = [
        onnx_outputs(session, preprocessing, films.squares[part], *SEEN) for part in (taught, rows.val)
    ]
    return Readout(session, preprocessing, temperature, points, learn_gate(*features))


def golden_squares(preprocessing: Preprocessing) -> Bytes:
    """Of made-up films, so that no patient's picture travels inside a model."""
    return preprocessing.squares([one.astype(np.float32) / np.float32(65535) for one in golden_films()])


@cache
def golden_films() -> list[npt.NDArray[np.uint16]]:
    """The first is larger than datasets keep, so that shrinking is checked too."""
    shown = [synthetic_film(GOLDEN_SEED, i, rows=600 if i == 0 else 160).shown for i in range(6)]
    return [np.rint(one * 65535).astype(np.uint16) for one in shown]
