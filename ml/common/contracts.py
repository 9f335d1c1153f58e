"""What crosses the border between `apps` and `ml` for any domain: plain frozen dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OF_TIME = ("share_", "seconds_")  # metrics of an epoch's time by part: of this run, not of the model
SCRATCH = "scratch"  # folder among the checkpoints whose content, such as films, never outlives a run


class Cancelled(Exception):
    """Raised by a progress callback to ask the training loop to stop between two batches."""


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One line of a training job's progress.

    `rate` is in `rate_unit` per second (images or rows). `eta_s` is in seconds. `metrics` holds
    JSON numbers only (for example train_loss, val_loss, val_auc; `share_<part>` and `seconds_<part>` of an
    epoch's time). `checkpoint`: from here a run that is cut off would go on.
    """

    phase: str
    message: str = ""
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    rate: float | None = None
    rate_unit: str = ""
    eta_s: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    checkpoint: bool = False

    def as_json(self) -> dict[str, Any]:
        """What it says; what it leaves open is left out."""
        said = asdict(self).items()
        return {name: value for name, value in said if value not in (None, "", {}) and value is not False}


ProgressCallback = Callable[[ProgressEvent], None]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Everything a trainer may know. `params` is checked against the domain's typed config.

    `weights_dir` may hold pretrained weights; training itself never touches the network. `lineage` is written
    into the artefact as it is: JSON, and the same for the same code and parent.
    """

    dataset_dir: Path
    output_dir: Path
    checkpoint_dir: Path
    params: Mapping[str, Any]
    seed: int = 0
    device: str = "auto"
    resume: bool = False
    weights_dir: Path | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoldRequest:
    """Of the training part cut into `folds`, by `seed` where chance deals them: fold `number`, from 1, is
    scored by what learns from others. The same for every dataset, seed and number, in whatever process."""

    number: int
    folds: int
    seed: int


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished artefact on disk and what it scored. `metrics` is JSON-serialisable."""

    artefact_dir: Path
    artefact_hash: str
    metrics: Mapping[str, Any]
