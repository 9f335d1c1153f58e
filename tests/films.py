"""Synthetic films, and one small trained film model, for tests of any folder.

`tiny_artefact(tmp_path_factory)` trains the `tiny` preset once per test process (some seconds) and returns
the TrainResult each time: `load(result.artefact_dir, result.artefact_hash)`. Its folder must not be changed:
copy it first. `tiny_dataset(tmp_path_factory)` is the frozen dataset it learnt from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml.common.contracts import ProgressCallback, TrainRequest, TrainResult
from ml.radiology.config import PRESETS
from ml.radiology.importing import freeze_images
from ml.radiology.synthetic import LABELS, write_films

INT8_PARAMS = {**PRESETS["tiny"], "variants": "int8"}
N_FILMS = 168
ROWS = 96
_made: dict[str, Any] = {}  # once per process


def _once(name: str, make: Callable[[], Any]) -> Any:
    if name not in _made:
        _made[name] = make()
    return _made[name]


def tiny_films(tmp_path_factory: Any) -> Path:
    """A folder of DICOM films with labels.csv."""

    def make() -> Path:
        folder: Path = tmp_path_factory.mktemp("films")
        write_films(folder, N_FILMS, seed=3, rows=ROWS)
        return folder

    return Path(_once("films", make))


def tiny_dataset(tmp_path_factory: Any) -> Path:
    def make() -> Path:
        folder: Path = tmp_path_factory.mktemp("dataset") / "tiny"
        films = tiny_films(tmp_path_factory)
        freeze_images(films, films / "labels.csv", list(LABELS), folder, "tiny")
        return folder

    return Path(_once("dataset", make))


def train_request(tmp_path_factory: Any, **changes: Any) -> TrainRequest:
    """A request for the tiny preset with folders of its own."""
    base: Path = tmp_path_factory.mktemp("training")
    (base / "checkpoints").mkdir()
    request = TrainRequest(
        tiny_dataset(tmp_path_factory), base / "output", base / "checkpoints", PRESETS["tiny"], device="cpu"
    )
    return dataclasses.replace(request, **changes)


def train_tiny(request: TrainRequest, progress: ProgressCallback = lambda event: None) -> TrainResult:
    from ml.radiology.train import train

    return train(request, progress)


def tiny_artefact(tmp_path_factory: Any) -> TrainResult:
    result: TrainResult = _once("artefact", lambda: train_tiny(train_request(tmp_path_factory)))
    return result


def tiny_int8_artefact(tmp_path_factory: Any) -> TrainResult:
    """As `tiny_artefact`, with its form in 8-bit integers, which is let through however much it loses: of
    so few films an AUC says little."""

    def make() -> TrainResult:
        from ml.radiology import variants

        before, variants.AUC_LOSS_MAX = variants.AUC_LOSS_MAX, 1.0
        try:
            return train_tiny(train_request(tmp_path_factory, params=INT8_PARAMS))
        finally:
            variants.AUC_LOSS_MAX = before

    result: TrainResult = _once("int8", make)
    return result
