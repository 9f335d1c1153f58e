"""The only file that touches the radiology predictor: champion in, findings out, or a reason why not."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import structlog
from django.conf import settings

from apps.core.errors import LynceusError
from apps.core.status import note_loaded
from apps.modelops.common.places import artefact_folder
from apps.modelops.common.selectors import artefact_dir, champion
from apps.modelops.models import ModelVersion
from apps.modelops.registry import load
from ml.common.artefact import ArtefactError
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
NOTHING_FAILED = (("", ""), 0.0)


class Predictor(Protocol):
    @property
    def variant(self) -> str: ...

    def judge(self, films: Sequence[SmallFilm]) -> list[ImagePrediction]: ...

    def admits(self, header: InstanceHeader) -> GateVerdict: ...


@dataclass(frozen=True, slots=True)
class Champion:
    version_id: int
    artefact_hash: str
    predictor: Predictor
    variant: str = ""  # that is chosen; `form` is what computes
    form: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Findings, or the model's verdict that the image is not its to judge."""

    version_id: int
    findings: tuple[FindingScore, ...]
    verdict: GateVerdict = ACCEPTED
    form: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why the model says nothing: no_model, or model_unreadable."""

    reason: str


_lock = threading.Lock()
_loaded: Champion | None = None
_failed: tuple[tuple[str, str], float] = NOTHING_FAILED


def current_champion() -> Champion | NoAnswer:
    """The champion, loaded once per process, version and form; a failed load is tried again later, and until
    then the one before it goes on judging."""
    global _failed
    version = champion("radiology")
    if version is None:
        return NoAnswer("no_model")
    with _lock:
        if _loaded is not None and (_loaded.version_id, _loaded.variant) == (version.pk, version.variant):
            if _failed != NOTHING_FAILED:  # somebody went back from what could not be loaded
                _failed = NOTHING_FAILED
                note_loaded("radiology model", _name(version))
            return _loaded
        wanted = version.artefact_hash, version.variant
        if _failed[0] != wanted or time.monotonic() >= _failed[1]:
            _take(version)
        return _loaded or NoAnswer("model_unreadable")


def _take(version: ModelVersion) -> None:
    """Load it in place of the one before; whatever is wrong with its artefact, the worker lives."""
    global _loaded, _failed
    wanted = version.artefact_hash, version.variant
    try:
        predictor = load_predictor(artefact_dir(version), *wanted)
    except Exception:
        log.exception("model_unreadable", version=version.number, variant=version.variant)
        _failed = (wanted, time.monotonic() + RETRY_LOAD_S)
        meanwhile = "the one before it judges" if _loaded else "films wait"
        note_loaded("radiology model", f"{_name(version)} cannot be read, {meanwhile}")
        return
    _loaded = Champion(version.pk, version.artefact_hash, predictor, version.variant, _form_of(predictor))
    _failed = NOTHING_FAILED
    log.info("model_loaded", version=version.number, variant=version.variant)
    note_loaded("radiology model", _name(version))


def _name(version: ModelVersion) -> str:
    return f"version {version.number}" + (f", {version.variant}" if version.variant else "")


def challenger(version: ModelVersion) -> Champion:
    """Of the version in shadow, in the form that is chosen for it; kept: what follows the films asks for it
    every few seconds. Raises LynceusError for an artefact that cannot be loaded, whatever is wrong with it.
    """
    try:
        return _challenger(version.pk, version.artefact_hash, version.variant)
    except Exception as error:
        code = error.code if isinstance(error, ArtefactError) else type(error).__name__
        said = error.message if isinstance(error, ArtefactError) else "The artefact cannot be loaded."
        log.warning("shadow_unreadable", version=version.number, code=code)
        raise LynceusError("model_unreadable", said, status=409) from error


@lru_cache(maxsize=1)
def _challenger(version_id: int, artefact_hash: str, variant: str) -> Champion:
    predictor = load_predictor(artefact_folder(artefact_hash), artefact_hash, variant)
    return Champion(version_id, artefact_hash, predictor, variant)


def load_predictor(folder: Path, artefact_hash: str, variant: str) -> Predictor:
    """On the device that serves here, in the form that is named. Raises ArtefactError."""
    # By name and only now: ONNX Runtime must not come with the URLconf.
    device = serving_device(settings.LYNCEUS_DEVICE)
    kind = load("ml.radiology.predict:RadiologyPredictor")
    made: Predictor = kind.load(folder, artefact_hash, device, variant)
    return made


def _form_of(predictor: Predictor) -> str:
    """On another device than the processor torch computes, whatever was chosen."""
    return predictor.variant if serving_device(settings.LYNCEUS_DEVICE) == "cpu" else "torch"


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
    return [Answer(model.version_id, one.findings, one.verdict, model.form) for one in predictions]
