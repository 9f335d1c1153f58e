from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from apps.modelops.registry import Domain, register_domain
from ml.common.artefact import write_artefact
from ml.common.contracts import ProgressCallback, ProgressEvent, TrainRequest, TrainResult


def register() -> None:
    register_domain(
        Domain(
            name="testing",
            trainer="tests.modelops.domain.trainer:train",
            evaluator="tests.modelops.domain.trainer:evaluate",
            presets={"tiny": {"how": "well"}},
            check_params=check_params,
        )
    )


def check_params(params: Mapping[str, Any]) -> None:
    if not isinstance(params["how"], str):
        raise ValueError("how must be a string.")


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    print("a stray print of some library")  # noqa: T201
    how = request.params["how"]
    for epoch in (1, 2):
        metrics = {"train_loss": 1.0 / epoch}
        progress(ProgressEvent("train", epoch=epoch, epochs=2, rate=10.0, rate_unit="rows", metrics=metrics))
    if how == "fails":
        raise ValueError("There is no positive case.\nsecond line")
    if how == "dies" and not request.resume:
        (request.checkpoint_dir / "epoch-2").write_text("")
        os._exit(9)
    if how == "waits":
        while True:
            progress(ProgressEvent("train", message="waiting"))
            threading.Event().wait(0.05)
    artefact_hash = write_artefact(
        request.output_dir, kind="testing", files={"trees.ubj": b"x"}, meta={"resumed": request.resume}
    )
    if how == "forges":
        (request.output_dir / "trees.ubj").write_bytes(b"y")
    return TrainResult(request.output_dir, artefact_hash, {"test": {"auc": 0.5}})
