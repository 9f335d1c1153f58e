"""Serve a radiology artefact with ONNX Runtime: pixels in, calibrated findings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.artefact import ArtefactError, open_artefact, require_golden
from ml.common.calibration import sigmoid
from ml.radiology.contracts import FindingScore, FloatImage, ImagePrediction
from ml.radiology.transforms import Bytes, Preprocessing

FILM_FORMAT = 2  # what the manifest says of a film model; grows when it says other things
THREADS = 2
BATCH = 16
Floats = npt.NDArray[np.floating]


def onnx_session(model: bytes | Path, threads: int = THREADS) -> Any:
    """Few threads: the imaging workers share the machine with the payment door."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


def onnx_logits(session: Any, preprocessing: Preprocessing, squares: Bytes) -> Floats:
    """uint8 (n, side, side) to logits float64 (n, labels)."""
    out = [
        session.run(["logits"], {"films": preprocessing.normalise(squares[i : i + BATCH])})[0]
        for i in range(0, len(squares), BATCH)
    ]
    return np.concatenate(out).astype(np.float64)


def calibrated(logits: Floats, temperature: Floats) -> Floats:
    """Probabilities (n, labels); `temperature` (labels,)."""
    return sigmoid(logits / temperature)


@dataclass(frozen=True, slots=True)
class RadiologyPredictor:
    session: Any
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: Floats
    operating_points: tuple[float | None, ...]
    artefact_hash: str

    @classmethod
    def load(cls, folder: Path, expected_hash: str | None = None) -> RadiologyPredictor:
        """Raises ArtefactError for a folder that is not what was written, or answers otherwise."""
        artefact = open_artefact(folder, expected_hash, kind="radiology")
        if artefact.meta.get("film_format") != FILM_FORMAT:
            raise ArtefactError(
                "old_format", "This film model was made by another release of Lynceus: train it again."
            )
        try:
            predictor = cls._from(artefact.meta, artefact.path("model.onnx"), artefact.artefact_hash)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError("malformed", "The artefact lacks what a film model needs.") from error
        golden = artefact.golden()
        squares = predictor.preprocessing.squares([golden["film"].astype(np.float32) / np.float32(65535)])
        require_golden("film", squares.astype(np.float32), golden["square"].astype(np.float32), atol=1.0)
        require_golden("logits", predictor.logits(golden["squares"]), golden["logits"], atol=2e-3)
        return predictor

    @classmethod
    def _from(cls, meta: Mapping[str, Any], model: Path, artefact_hash: str) -> RadiologyPredictor:
        labels = tuple(meta["labels"])
        points = [meta["operating_points"][label] for label in labels]
        return cls(
            session=onnx_session(model),
            labels=labels,
            preprocessing=Preprocessing.from_meta(meta["preprocessing"]),
            temperature=np.array([meta["temperature"][label] for label in labels], np.float64),
            operating_points=tuple(None if point is None else float(point) for point in points),
            artefact_hash=artefact_hash,
        )

    def logits(self, squares: Bytes) -> Floats:
        """uint8 (n, side, side) to logits (n, labels)."""
        return onnx_logits(self.session, self.preprocessing, squares)

    def probabilities(self, squares: Bytes) -> Floats:
        return calibrated(self.logits(squares), self.temperature)

    def predict(self, images: Sequence[FloatImage]) -> list[ImagePrediction]:
        """Films as the decoder gives them, float32 (rows, columns) in 0..1, one answer each."""
        if not images:
            return []
        scores = self.probabilities(self.preprocessing.squares(images))
        return [ImagePrediction(self._findings(row)) for row in scores]

    def _findings(self, row: Floats) -> tuple[FindingScore, ...]:
        return tuple(
            FindingScore(label, float(p), point, point is not None and bool(p >= point))
            for label, p, point in zip(self.labels, row, self.operating_points, strict=True)
        )
