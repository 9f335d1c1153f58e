"""The only file that touches the radiology predictor: champion in, findings out, or a reason why not."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from django.conf import settings

from apps.core.status import note_loaded
from apps.modelops.registry import load
from apps.modelops.selectors import artefact_dir, champion
from ml.common.devices import serving_device
from ml.radiology.contracts import (
    ACCEPTED,
    FindingScore,
    GateVerdict,
    ImagePrediction,
    InstanceHeader,
    SmallFilm,
)

log = structlog.get_logger(__name__)
RETRY_LOAD_S = 30.0


class Predictor(Protocol):
    def judge(self, films: Sequence[SmallFilm]) -> list[ImagePrediction]: ...

    def admits(self, header: InstanceHeader) -> GateVerdict: ...


@dataclass(frozen=True, slots=True)
class Champion:
    version_id: int
    artefact_hash: str
    predictor: Predictor


@dataclass(frozen=True, slots=True)
class Answer:
    """Findings, or the model's verdict that the image is not its to judge."""

    version_id: int
    findings: tuple[FindingScore, ...]
    verdict: GateVerdict = ACCEPTED


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why the model says nothing: no_model, or model_unreadable."""

    reason: str


_lock = threading.Lock()
_loaded: Champion | None = None
_failed: tuple[str, float] = ("", 0.0)


def current_champion() -> Champion | NoAnswer:
    """The champion, loaded once per process and artefact; a failed load is tried again after a while."""
    global _loaded, _failed
    version = champion("radiology")
    if version is None:
        return NoAnswer("no_model")
    with _lock:
        if _loaded is not None and _loaded.version_id == version.pk:
            return _loaded
        if _failed[0] == version.artefact_hash and time.monotonic() < _failed[1]:
            return NoAnswer("model_unreadable")
        try:
            predictor = _load(artefact_dir(version), version.artefact_hash)
        except Exception:  # whatever is wrong with the artefact, films wait and the worker lives
            log.exception("model_unreadable", version=version.number)
            _failed = (version.artefact_hash, time.monotonic() + RETRY_LOAD_S)
            return NoAnswer("model_unreadable")
        _loaded = Champion(version.pk, version.artefact_hash, predictor)
        log.info("model_loaded", version=version.number)
        note_loaded("radiology model", f"version {version.number}")
        return _loaded


def _load(folder: Path, artefact_hash: str) -> Predictor:
    # By name and only now: ONNX Runtime must not come with the URLconf.
    device = serving_device(settings.LYNCEUS_DEVICE)
    made: Predictor = load("ml.radiology.predict:RadiologyPredictor").load(folder, artefact_hash, device)
    return made


def admits(model: Champion, header: InstanceHeader) -> GateVerdict:
    """Whether the model was validated on patients such as the header's."""
    return model.predictor.admits(header)


def predict(model: Champion, films: Sequence[SmallFilm]) -> list[Answer]:
    """Findings for each, or why the model does not judge it.

    Raises ValueError if one is no probability.
    """
    predictions = model.predictor.judge(films)
    for finding in (one for prediction in predictions for one in prediction.findings):
        if not (math.isfinite(finding.probability) and 0.0 <= finding.probability <= 1.0):
            raise ValueError("the model's answer is not a probability")
    return [Answer(model.version_id, one.findings, one.verdict) for one in predictions]
