from __future__ import annotations

import errno
import fcntl
import os
import resource
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.modelops.registry import Domain, Include, Phase, register_domain
from ml.common.artefact import open_artefact, write_artefact
from ml.common.contracts import (
    SCRATCH,
    FoldRequest,
    ProgressCallback,
    ProgressEvent,
    TrainRequest,
    TrainResult,
)
from ml.common.gate import GateLine, GateReport, GateRequest, locked_line
from ml.common.options import choice, from_params, option
from ml.fraud.contracts import EvaluationReport
from tests.modelops.domain.watcher import MEASURES

FAULTS = {
    "fails": ValueError("There is no positive case.\nsecond line"),
    "card full": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "disk full": OSError(errno.ENOSPC, "No space left on device", "/somewhere/epoch-2"),
    "speechless": RuntimeError(),
}
HOWS = ("well", *FAULTS, "dies", "poison", "fills the disk", "forges", "waits", "outlives", "deaf")
ROOM = 100_000  # bytes a file may have, once the disk is full


@dataclass(frozen=True)
class Config:
    how: str = choice("well", HOWS, "what happens")
    epochs: int = option(2, 1, 9, "passes over nothing")
    rate: float = option(0.1, 1e-5, 1.0, "of learning")


def register() -> None:
    register_domain(
        Domain(
            name="testing",
            trainer="tests.modelops.domain.trainer:train",
            fold_trainer="tests.modelops.domain.trainer:train_fold",
            evaluator="tests.modelops.domain.trainer:evaluate",
            presets={"tiny": {"how": "well"}, "slow": {"epochs": 9}},
            check_params=check_params,
            title="Testing",
            config=Config,
            phases=(Phase("train", "learning"), Phase("check", "checking", unit="round")),
            dataset_command="python manage.py make_it_up",
            gate="tests.modelops.domain.trainer:gate",
            exporter="tests.modelops.domain.exporter:export",
            news="tests.modelops.domain.exporter:news",
            cases="tests.modelops.domain.exporter:cases",
            includes=(
                Include("signed", "Signed reads"),
                Include("other", "Other reads", "Of other people.", initial=False),
            ),
            speed="tests.modelops.domain.cases:measure_speed",
            examples="tests.modelops.domain.cases",
            has_pictures=True,
            intended_use=("It is made up, to be tested with.",),
            limits=("It knows nothing.",),
            watcher="tests.modelops.domain.watcher:watch",
            reliability="tests.modelops.domain.watcher:reliability",
            measures=MEASURES,
        )
    )


def check_params(params: Mapping[str, Any]) -> None:
    config = from_params(Config, params)
    if config.how == "fails" and config.epochs == 9:
        raise ValueError("Nobody fails nine times.")


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    print("a stray print of some library")  # noqa: T201
    how = request.params.get("how", "well")
    for epoch in (1, 2):
        metrics = {"train_loss": 1.0 / epoch}
        progress(ProgressEvent("train", epoch=epoch, epochs=2, rate=10.0, rate_unit="rows", metrics=metrics))
    if how in FAULTS:
        raise FAULTS[how]
    if how == "poison" or (how == "dies" and not request.resume):
        if how == "dies":
            keep(request, progress)
        os._exit(9)
    if how == "fills the disk":
        keep(request, progress)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        files = {"model.onnx": b"x", "trees.ubj": bytes(2 * ROOM)}
        write_artefact(request.output_dir, kind="testing", files=files, meta={})
    if how == "outlives" and not request.resume:
        keep(request, progress)
        hold_lock(request.checkpoint_dir.parent / "alive")
        wait_for_ever(progress, request.checkpoint_dir.parent / "steps")
    if how == "waits":
        wait_for_ever(progress)
    if how == "deaf":
        progress(ProgressEvent("check", message="waiting"))
        threading.Event().wait()
    artefact_hash = write_artefact(
        request.output_dir, kind="testing", files={"trees.ubj": b"x"}, meta={"resumed": request.resume}
    )
    if how == "forges":
        (request.output_dir / "trees.ubj").write_bytes(b"y")
    return TrainResult(request.output_dir, artefact_hash, {"test": {"auc": 0.5}})


def train_fold(request: TrainRequest, fold: FoldRequest, progress: ProgressCallback) -> dict[str, Any]:
    """Measures 0.6, 0.7, ... fold by fold; of those that die the second does."""
    progress(ProgressEvent("train", epoch=1, epochs=1, metrics={"train_loss": 1.0}))
    if request.params.get("how") == "dies" and fold.number == 2 and not request.resume:
        keep(request, progress)
        os._exit(9)
    told = {"seed": request.seed, "dealt_by": fold.seed, "folds": fold.folds, "resumed": request.resume}
    return {"auc": 0.5 + fold.number / 10, "ap": None, "n": 10, "n_train": 15, "n_choose": 5, **told}


def keep(request: TrainRequest, progress: ProgressCallback) -> None:
    """A checkpoint, and beside it what no run may leave behind."""
    (request.checkpoint_dir / "epoch-2").write_text("")
    (request.checkpoint_dir / SCRATCH).mkdir(exist_ok=True)
    (request.checkpoint_dir / SCRATCH / "films").write_text("of somebody")
    progress(ProgressEvent("train", epoch=2, epochs=2, checkpoint=True))


def wait_for_ever(progress: ProgressCallback, steps: Path | None = None) -> None:
    """One byte in `steps` for each turn: how long it went on is counted, not timed."""
    while True:
        progress(ProgressEvent("train", message="waiting"))
        if steps:
            with steps.open("a") as file:
                file.write(".")
        threading.Event().wait(0.05)


def hold_lock(path: Path) -> None:
    """Until this process ends, whichever way it does."""
    fcntl.flock(os.open(path, os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)


def evaluate(artefact_dir: Path, options: Mapping[str, Any]) -> EvaluationReport:
    if options["file"] is None:
        raise ValueError("Give --file.")
    return EvaluationReport({"n": 3, "n_excluded": 1, "auc": 0.75, "extra": 1}, {"auc": (0.5, 0.9)})


def gate(request: GateRequest, progress: ProgressCallback) -> GateReport:
    """What comes of it stands in the candidate's artefact."""
    progress(ProgressEvent("open"))
    how = open_artefact(request.candidate.folder, request.candidate.artefact_hash).meta.get("how", "well")
    if how == "dies":
        os._exit(9)
    if how == "fails":
        raise ValueError("The films are gone.\nsecond line")
    if how == "nothing locked":
        return GateReport((locked_line(0, 0),))
    progress(ProgressEvent("candidate", step=1, steps=2))
    worse = GateLine(
        "auc", "AUC", how != "bad", "0.500 where the champion has 0.650.", -0.15, -0.05, -0.2, -0.1
    )
    return GateReport((locked_line(12, 10), worse), 10, 2)
