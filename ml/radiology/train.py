"""Train the film model, top to bottom.

Early stopping, calibration and operating points look at validation only; the test is scored once, at the
end, through the exported model that will serve. Everything random in an epoch is drawn from (seed, epoch), so
a run that was killed and resumed at an epoch's start gives the weights an unbroken one gives.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import save

from ml.common.artefact import require_golden, write_artefact
from ml.common.contracts import SCRATCH, ProgressCallback, ProgressEvent, TrainRequest, TrainResult
from ml.common.control import SHUFFLED, shuffled_within
from ml.common.curves import curves_of
from ml.common.devices import choose_device
from ml.common.lineage import lineage_of
from ml.common.scored import FILE as TEST_SCORES
from ml.common.scored import Scored, scored
from ml.radiology.config import AUTO, FROM_SCRATCH, PREFERRED, TrainConfig
from ml.radiology.contracts import Bytes
from ml.radiology.dataset import Films, prepare
from ml.radiology.evaluate import measures
from ml.radiology.fitting import fit_network
from ml.radiology.folds import cross_validate, folds_of
from ml.radiology.importing import Dataset, load_frozen
from ml.radiology.model import Network, build_network, onnx_bytes, torch_outputs
from ml.radiology.operating import calibration_fold, patients_needed
from ml.radiology.predict import FILM_FORMAT, INT8, onnx_outputs, onnx_session
from ml.radiology.readout import Readout, Rows, golden_squares, learn_readout
from ml.radiology.splits import groups_of
from ml.radiology.subgroups import subgroups_of, validated_on
from ml.radiology.variants import Judged, judge_variants
from ml.radiology.weights import Weights, find_weights

BOOTSTRAP = 200
EXPORT_ATOL = 1e-4
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is taught: `columns` of a dataset without its locked part, and which of its films are in which
    part. `key` is the SHA-256 of its manifest."""

    frozen: Dataset
    dataset: Dataset
    parts: dict[str, Ints]
    columns: list[int]
    key: str

    @property
    def labels(self) -> list[str]:
        return [self.dataset.findings[column] for column in self.columns]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A network that has learnt, the films as it saw them, those of validation that did not choose its epoch,
    and what was measured on the way."""

    network: Network
    films: Films
    calibrating: Ints
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exported:
    onnx: bytes
    session: Any
    golden: Bytes


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    """Raises ValueError for data that cannot teach, WeightsError for weights that do not fit, Cancelled
    when the callback says so, ArtefactError golden_mismatch where the export answers otherwise than torch."""
    config, weights = choose_backbone(TrainConfig.from_params(request.params), request.weights_dir)
    lesson = lesson_of(request, config)
    progress(ProgressEvent("start", message=_start(config, weights, lesson)))
    fitted = _fit(request, config, weights, lesson, progress)
    progress(ProgressEvent("export", message="writing the model that serves"))
    exported = _export(fitted.network)
    progress(ProgressEvent("calibrate", message="on validation"))
    full, judged = _read_out(request, config, lesson, fitted, exported, progress)
    films, parts, labels = fitted.films, lesson.parts, lesson.labels
    said = {"val": full.scores(films.squares[parts["val"]])}
    progress(ProgressEvent("test", message=_said_of_points(labels, full.points, config)))
    said["test"] = full.scores(films.squares[parts["test"]])
    metrics = _metrics(lesson, films, said, full.points, request.seed) | fitted.metrics
    kept = _test_scores(lesson, films, said["test"], full.points)
    meta = {
        "labels": labels, "network": fitted.network.recipe,
        "preprocessing": fitted.network.preprocessing.to_meta(), "film_format": FILM_FORMAT,
        **full.meta(labels), "variants": judged.meta, "validated_on": validated_on(lesson.dataset.table),
        "pretrained": weights.about() if weights else None,
        "not_taught": _left_out(lesson), "config": asdict(config), "dataset": _said_of_dataset(lesson),
        "seed": request.seed, "metrics": metrics, "lineage": lineage_of(request), "curves": curves_of(kept),
    }  # fmt: skip
    files = _files(fitted.network, full, exported, judged) | {TEST_SCORES: kept.to_bytes()}
    artefact_hash = write_artefact(request.output_dir, kind="radiology", files=files, meta=meta)
    shutil.rmtree(request.checkpoint_dir / SCRATCH)  # films lie in the dataset only
    progress(ProgressEvent("done", metrics=_plain({"test_auc": metrics["test"]["auc"]})))
    measured = {**metrics, **({"inference": judged.profile} if judged.profile else {})}
    return TrainResult(request.output_dir, artefact_hash, measured)


def lesson_of(request: TrainRequest, config: TrainConfig) -> Lesson:
    """Raises ValueError where no finding can be taught."""
    frozen = load_frozen(request.dataset_dir)
    dataset = frozen.taught()
    parts = {name: np.flatnonzero(dataset.table["split"] == name) for name in ("train", "val", "test")}
    learnt = (parts["train"], parts["val"])
    if config.control == SHUFFLED:
        dataset = replace(dataset, labels=shuffled_within(dataset.labels, learnt, request.seed))
    columns = teachable(dataset, learnt)
    if not columns:
        raise ValueError(
            "No finding is both present and absent in the training and in the validation part: "
            "more films are needed."
        )
    key = hashlib.sha256((request.dataset_dir / "manifest.json").read_bytes()).hexdigest()
    return Lesson(frozen, dataset, parts, columns, key)


def new_network(config: TrainConfig, n_labels: int, weights: Weights | None, seed: int) -> Network:
    return build_network(
        config.backbone, n_labels, config.image_size, weights, seed, channels=int(config.channels),
        dropout=config.dropout, drop_path=config.drop_path,
    )  # fmt: skip


def _fit(
    request: TrainRequest, config: TrainConfig, weights: Weights | None, lesson: Lesson,
    progress: ProgressCallback,
) -> Fitted:  # fmt: skip
    def make(number: int = 0) -> Network:
        return new_network(config, len(lesson.columns), weights, request.seed + number)

    network = make()
    metrics: dict[str, Any] = {}
    films = prepare(lesson.dataset, lesson.columns, network.preprocessing, request.checkpoint_dir, progress)
    key, device = f"{lesson.key} {weights.sha256 if weights else None}", choose_device(request.device)
    groups, patterns = groups_and_patterns(lesson.dataset, lesson.columns)
    train_rows, val_rows = lesson.parts["train"], lesson.parts["val"]
    if config.folds > 1:
        taught = np.concatenate([train_rows, val_rows])
        metrics["cross_validation"] = cross_validate(
            lesson.dataset, films, folds_of(groups, patterns, taught, config.folds, request.seed),
            lesson.labels, make, config, seed=request.seed, device=device, folder=request.checkpoint_dir,
            key=key, progress=progress,
        )  # fmt: skip
    choosing, calibrating = calibration_fold(groups, patterns, val_rows)
    metrics["history"] = fit_network(
        network, films, train_rows, choosing, config, seed=request.seed, device=device,
        checkpoint_dir=request.checkpoint_dir, resume=request.resume, key=key, progress=progress,
    )  # fmt: skip
    return Fitted(network, films, calibrating, metrics)


def _export(network: Network) -> Exported:
    """What was taught must be what serves."""
    onnx = onnx_bytes(network)
    session, golden = onnx_session(onnx), golden_squares(network.preprocessing)
    taught_says = torch_outputs(network, golden)["logits"]
    exported_says = onnx_outputs(session, network.preprocessing, golden, "logits")["logits"]
    require_golden("logits after the export", exported_says, taught_says, atol=EXPORT_ATOL)
    return Exported(onnx, session, golden)


def _read_out(
    request: TrainRequest, config: TrainConfig, lesson: Lesson, fitted: Fitted, exported: Exported,
    progress: ProgressCallback,
) -> tuple[Readout, Judged]:  # fmt: skip
    """What validation alone says of the network, and of its lighter forms where they are asked for."""
    films, parts = fitted.films, lesson.parts
    patients = list(lesson.dataset.table["patient_id"])
    rows = Rows(parts["train"], parts["val"], fitted.calibrating, patients)

    def learn(session: Any) -> Readout:
        return learn_readout(session, films, rows, config.target_sensitivity)

    full = learn(exported.session)
    if config.variants != INT8:
        return full, Judged({}, {}, {})
    progress(ProgressEvent("calibrate", message="making and judging the network in 8-bit integers"))
    return full, judge_variants(
        fitted.network, exported.onnx, full, learn, lesson.labels, films, rows, exported.golden, request.seed
    )


def _files(network: Network, full: Readout, exported: Exported, judged: Judged) -> dict[str, bytes]:
    weights = {name: one.contiguous() for name, one in network.module.state_dict().items()}
    return {
        "model.onnx": exported.onnx,
        **full.files(network.head_module().weight.detach().numpy(), exported.golden),
        "weights.safetensors": save(weights),
        **judged.files,
    }


def choose_backbone(config: TrainConfig, folder: Path | None) -> tuple[TrainConfig, Weights | None]:
    """auto is the first network there are weights for, else the one that learns best without.

    What starts from nothing may take larger steps: there is nothing to unlearn.
    """
    for backbone in PREFERRED if config.backbone == AUTO else (config.backbone,):
        if weights := find_weights(folder, backbone):
            return replace(config, backbone=backbone), weights
    backbone = FROM_SCRATCH if config.backbone == AUTO else config.backbone
    rate = min(0.1, config.learning_rate * config.scratch_rate)
    return replace(config, backbone=backbone, learning_rate=rate), None


def teachable(dataset: Dataset, parts: Iterable[Ints]) -> list[int]:
    """Columns of the findings that each of these parts holds both present and absent."""

    def both(column: int, rows: Ints) -> bool:
        values = dataset.labels[rows, column]
        return bool((values == 1).any() and (values == 0).any())

    parts = list(parts)
    return [column for column in range(len(dataset.findings)) if all(both(column, rows) for rows in parts)]


def _left_out(lesson: Lesson) -> list[str]:
    return sorted(set(lesson.dataset.findings) - set(lesson.labels))


def _start(config: TrainConfig, weights: Weights | None, lesson: Lesson) -> str:
    origin = f"from {weights.path.name}" if weights else "from scratch, there are no pretrained weights"
    left_out = _left_out(lesson)
    without = f"; too few films to learn {', '.join(left_out)}" if left_out else ""
    return f"{config.backbone} {origin}{without}"


def _said_of_dataset(lesson: Lesson) -> dict[str, Any]:
    manifest = lesson.dataset.manifest
    weights = manifest.get("weights")
    told = {"name": manifest["name"], "manifest_sha256": lesson.key}
    return told | ({"weights": weights} if weights else {})


def groups_and_patterns(dataset: Dataset, columns: list[int]) -> tuple[Ints, list[str]]:
    """Which films belong together (a patient, exact copies), and each film's pattern of findings."""
    groups = groups_of(list(dataset.table["patient_id"]), list(dataset.table["pixel_sha256"]))
    found = dataset.labels[:, columns] == 1
    return groups, ["".join("1" if one else "0" for one in row) for row in found]


def _said_of_points(labels: list[str], points: list[float | None], config: TrainConfig) -> str:
    without = [label for label, point in zip(labels, points, strict=True) if point is None]
    if not without:
        return "scoring the test once"
    return (
        f"scoring the test once; insufficient evidence for an operating point of {', '.join(without)}:"
        f" validation must hold {patients_needed(config.target_sensitivity)} patients with it"
    )


def _metrics(
    lesson: Lesson, films: Films, said: dict[str, Floats], points: list[float | None], seed: int
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, part, rounds in (("validation", "val", 0), ("test", "test", BOOTSTRAP)):
        rows = lesson.parts[part]
        table = lesson.dataset.table.iloc[rows]
        report = measures(films.labels[rows], said[part], points, lesson.labels, table, seed, rounds)
        intervals = {key: list(pair) for key, pair in report.intervals.items()}
        out[name] = {**report.values, **({"intervals": intervals} if intervals else {})}
    return out


def _test_scores(lesson: Lesson, films: Films, said: Floats, points: list[float | None]) -> Scored:
    """A film is known again by its pixels, whatever file they came in, and by its row in the dataset as it
    was frozen."""
    rows = lesson.parts["test"]
    table = lesson.dataset.table.iloc[rows]
    return scored(
        names=lesson.labels, points=points, cases=[(one,) for one in table["pixel_sha256"]],
        groups=table["patient_id"], rows=lesson.frozen.taught_rows[rows], labels=films.labels[rows],
        scores=said, weights=None, subgroups=dict(subgroups_of(table)),
    )  # fmt: skip


def _plain(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
