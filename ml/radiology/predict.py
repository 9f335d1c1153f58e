"""Serve a radiology artefact with ONNX Runtime: pixels in, calibrated findings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.artefact import Artefact, ArtefactError, open_artefact, require_golden
from ml.common.calibration import sigmoid
from ml.radiology.contracts import (
    FindingScore,
    FloatImage,
    GateVerdict,
    ImagePrediction,
    InstanceHeader,
    SmallFilm,
)
from ml.radiology.explain import grad_cam, on_film
from ml.radiology.gate import age_gate
from ml.radiology.imagegate import SEEN, ImageGate
from ml.radiology.transforms import FROZEN_SIDE, Bytes, Preprocessing, small

FILM_FORMAT = 2  # what the manifest says of a film model; grows when it says other things
FULL, INT8 = "onnx", "int8"  # a network's forms: full precision, 8-bit integers
GOLDEN_ATOL = 2e-3  # logits in full precision, from one processor to another
THREADS = 2
BATCH = 16
Floats = npt.NDArray[np.floating]


def onnx_session(model: bytes | Path, threads: int = THREADS) -> Any:
    """Few threads: the imaging workers share the machine with the payment door."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait sleep: those that spin take their time from decoders beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


def of_variant(file: str, variant: str) -> str:
    """A form's own file in the artefact: gate.npz is gate.int8.npz for int8."""
    stem, _, suffix = file.rpartition(".")
    return file if variant == FULL else f"{stem}.{variant}.{suffix}"


def _about(artefact: Artefact, variant: str) -> Mapping[str, Any]:
    """Where the manifest keeps a form's temperatures and operating points. Raises ArtefactError."""
    if variant == FULL:
        return artefact.meta
    about: Mapping[str, Any] = artefact.meta.get("variants", {}).get(variant, {})
    if not about.get("accurate"):
        raise ArtefactError("unknown_variant", f"The artefact has no form {variant!r} that may serve.")
    return about


def _session(artefact: Artefact, device: str, variant: str) -> Any:
    if device == "cpu":
        return onnx_session(artefact.path(of_variant("model.onnx", variant)))
    # Only now: where there is no such device, nothing that serves films loads torch.
    from ml.radiology.torch_session import TorchSession

    return TorchSession(artefact, device)


def onnx_outputs(
    session: Any, preprocessing: Preprocessing, squares: Bytes, *names: str
) -> dict[str, Floats]:
    """uint8 (n, side, side) to what is named of `logits`, `mid`, `late`, `maps` (ml/radiology/model.py)."""
    parts = [
        session.run(list(names), {"films": preprocessing.normalise(squares[i : i + BATCH])})
        for i in range(0, len(squares), BATCH)
    ]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


def onnx_logits(session: Any, preprocessing: Preprocessing, squares: Bytes) -> Floats:
    """uint8 (n, side, side) to logits float64 (n, labels)."""
    return onnx_outputs(session, preprocessing, squares, "logits")["logits"].astype(np.float64)


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
    image_gate: ImageGate
    head: Floats
    ages: tuple[float, float] | None
    artefact_hash: str
    variant: str

    @classmethod
    def load(
        cls, folder: Path, expected_hash: str | None = None, device: str = "cpu", variant: str = ""
    ) -> RadiologyPredictor:
        """By ONNX Runtime on `cpu`, in the form that is named, or else in full precision; by torch on another
        device, always in full precision.

        Raises ArtefactError for a folder that is not what was written, answers otherwise, or lacks the form.
        """
        variant = variant if variant and device == "cpu" else FULL
        artefact = open_artefact(folder, expected_hash, kind="radiology")
        old = ArtefactError(
            "old_format", "This film model was made by another release of Lynceus: train it again."
        )
        if artefact.meta.get("film_format") != FILM_FORMAT:
            raise old
        try:
            predictor = cls._from(artefact, device, variant)
            atol = float(_about(artefact, variant).get("golden_atol", GOLDEN_ATOL))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError("malformed", "The artefact lacks what a film model needs.") from error
        if predictor.preprocessing.frozen_side != FROZEN_SIDE:
            raise old
        golden = artefact.arrays(of_variant("golden.npz", variant))
        squares = predictor.preprocessing.squares([golden["film"].astype(np.float32) / np.float32(65535)])
        require_golden("film", squares.astype(np.float32), golden["square"].astype(np.float32), atol=1.0)
        require_golden("logits", predictor.logits(golden["squares"]), golden["logits"], atol=atol)
        unusual = predictor.unusual(golden["squares"])
        spread = (0.01 if variant == FULL else 0.1) * (1 + float(unusual.max()))
        require_golden("distances", unusual, golden["unusual"], atol=spread)
        return predictor

    @classmethod
    def _from(cls, artefact: Artefact, device: str, variant: str) -> RadiologyPredictor:
        meta, about = artefact.meta, _about(artefact, variant)
        labels = tuple(meta["labels"])
        points = [about["operating_points"][label] for label in labels]
        learnt = artefact.arrays(of_variant("gate.npz", variant))
        ages = meta["validated_on"]["age_years"]
        return cls(
            session=_session(artefact, device, variant),
            labels=labels,
            preprocessing=Preprocessing.from_meta(meta["preprocessing"]),
            temperature=np.array([about["temperature"][label] for label in labels], np.float64),
            operating_points=tuple(None if point is None else float(point) for point in points),
            image_gate=ImageGate.from_arrays(learnt),
            head=learnt["head"],
            ages=None if ages is None else (float(ages[0]), float(ages[1])),
            artefact_hash=artefact.artefact_hash,
            variant=variant,
        )

    def logits(self, squares: Bytes) -> Floats:
        """uint8 (n, side, side) to logits (n, labels)."""
        return onnx_logits(self.session, self.preprocessing, squares)

    def unusual(self, squares: Bytes) -> Floats:
        """How far out each picture is, (n,), against `image_gate.limit`."""
        return self.image_gate.scores(onnx_outputs(self.session, self.preprocessing, squares, *SEEN))

    def probabilities(self, squares: Bytes) -> Floats:
        return calibrated(self.logits(squares), self.temperature)

    def predict(self, images: Sequence[FloatImage]) -> list[ImagePrediction]:
        """Films as they are shown, float32 (rows, columns) in 0..1, one answer each."""
        return self.judge([small(image) for image in images])

    def judge(self, films: Sequence[SmallFilm]) -> list[ImagePrediction]:
        """One answer each; what waits together goes through the network together."""
        if not films:
            return []
        squares = np.stack([self.preprocessing.fit(film.pixels) for film in films])
        seen = onnx_outputs(self.session, self.preprocessing, squares, "logits", "mid", "late", "maps")
        scores = calibrated(seen["logits"].astype(np.float64), self.temperature)
        return [
            ImagePrediction(self._findings(row, maps, film.shape), verdict)
            if verdict.accepted
            else ImagePrediction((), verdict)
            for row, maps, film, verdict in zip(
                scores, seen["maps"], films, self.image_gate.verdicts(seen), strict=True
            )
        ]

    def admits(self, header: InstanceHeader) -> GateVerdict:
        """Whether the patient is of an age the model was validated on; passes where the header has none."""
        return age_gate(header, self.ages)

    def _findings(self, row: Floats, maps: Floats, shape: Any) -> tuple[FindingScore, ...]:
        found = []
        for i, (label, point) in enumerate(zip(self.labels, self.operating_points, strict=True)):
            positive = point is not None and bool(row[i] >= point)
            attention = self._attention(i, maps, shape) if positive else None
            found.append(FindingScore(label, float(row[i]), point, positive, attention))
        return tuple(found)

    def _attention(self, i: int, maps: Floats, shape: Any) -> Bytes | None:
        """None where nothing on the film speaks for the finding: then the rest of the network's sum did."""
        cam = grad_cam(maps, self.head[i])
        return on_film(cam, shape) if cam.any() else None
