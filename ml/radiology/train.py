"""Train the film model, top to bottom.

Early stopping, calibration and operating points look at validation only; the test is scored once, at the
end, through the exported model that will serve. Everything random in an epoch is drawn from (seed, epoch), so
a run that was killed and resumed at an epoch's start gives the weights an unbroken one gives.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
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


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    """Raises ValueError for data that cannot teach, WeightsError for weights that do not fit, Cancelled
    when the callback says so, ArtefactError golden_mismatch where the export answers otherwise than torch."""
    config, weights = choose_backbone(TrainConfig.from_params(request.params), request.weights_dir)
    frozen = load_frozen(request.dataset_dir)
    dataset = frozen.taught()
    parts = {name: np.flatnonzero(dataset.table["split"] == name) for name in ("train", "val", "test")}
    if config.control == SHUFFLED:
        learnt = (parts["train"], parts["val"])
        dataset = replace(dataset, labels=shuffled_within(dataset.labels, learnt, request.seed))
    columns = teachable(dataset, [parts["train"], parts["val"]])
    if not columns:
        raise ValueError(
            "No finding is both present and absent in the training and in the validation part: "
            "more films are needed."
        )
    dataset_key = hashlib.sha256((request.dataset_dir / "manifest.json").read_bytes()).hexdigest()
    labels = [dataset.findings[column] for column in columns]
    progress(ProgressEvent("start", message=_start(config, weights, labels, dataset)))

    def make(number: int = 0) -> Network:
        return build_network(
            config.backbone, len(labels), config.image_size, weights, request.seed + number,
            channels=int(config.channels), dropout=config.dropout, drop_path=config.drop_path,
        )  # fmt: skip

    network = make()
    films = prepare(dataset, columns, network.preprocessing, request.checkpoint_dir, progress)
    key, device = f"{dataset_key} {weights.sha256 if weights else None}", choose_device(request.device)
    groups, patterns = groups_and_patterns(dataset, columns)
    crossed = None
    if config.folds > 1:
        taught = np.concatenate([parts["train"], parts["val"]])
        crossed = cross_validate(
            dataset, films, folds_of(groups, patterns, taught, config.folds, request.seed), labels, make,
            config, seed=request.seed, device=device, folder=request.checkpoint_dir, key=key,
            progress=progress,
        )  # fmt: skip
    choosing, calibrating = calibration_fold(groups, patterns, parts["val"])
    history = fit_network(
        network, films, parts["train"], choosing, config, seed=request.seed, device=device,
        checkpoint_dir=request.checkpoint_dir, resume=request.resume, key=key, progress=progress,
    )  # fmt: skip
    progress(ProgressEvent("export", message="writing the model that serves"))
    onnx = onnx_bytes(network)
    session, golden = onnx_session(onnx), golden_squares(network.preprocessing)
    # What was taught must be what serves.
    taught_says = torch_outputs(network, golden)["logits"]
    exported_says = onnx_outputs(session, network.preprocessing, golden, "logits")["logits"]
    require_golden("logits after the export", exported_says, taught_says, atol=EXPORT_ATOL)
    progress(ProgressEvent("calibrate", message="on validation"))
    rows = Rows(parts["train"], parts["val"], calibrating, list(dataset.table["patient_id"]))

    def learn(session: Any) -> Readout:
        return learn_readout(session, films, rows, config.target_sensitivity)

    full, judged = learn(session), Judged({}, {}, {})
    if config.variants == INT8:
        progress(ProgressEvent("calibrate", message="making and judging the network in 8-bit integers"))
        judged = judge_variants(network, onnx, full, learn, labels, films, rows, golden, request.seed)
    said = {"val": full.scores(films.squares[parts["val"]])}
    progress(ProgressEvent("test", message=_said_of_points(labels, full.points, config)))
    said["test"] = full.scores(films.squares[parts["test"]])
    metrics = _metrics(dataset, films, parts, said, full.points, labels, request.seed)
    metrics |= {"history": history, **({"cross_validation": crossed} if crossed else {})}
    meta = {
        "labels": labels, "network": network.recipe, "preprocessing": network.preprocessing.to_meta(),
        "film_format": FILM_FORMAT, **full.meta(labels), "variants": judged.meta,
        "validated_on": validated_on(dataset.table),
        "pretrained": weights.about() if weights else None,
        "not_taught": sorted(set(dataset.findings) - set(labels)), "config": asdict(config),
        "dataset": _said_of_dataset(dataset, dataset_key),
        "seed": request.seed, "metrics": metrics, "lineage": lineage_of(request),
    }  # fmt: skip
    files = {
        "model.onnx": onnx,
        **full.files(network.head_module().weight.detach().numpy(), golden),
        "weights.safetensors": save({k: v.contiguous() for k, v in network.module.state_dict().items()}),
        **judged.files,
    }
    kept = _test_scores(dataset, films, parts["test"], said["test"], full.points, labels)
    kept = replace(kept, rows=frozen.taught_rows[kept.rows])  # of the dataset as it was frozen
    files[TEST_SCORES], meta["curves"] = kept.to_bytes(), curves_of(kept)
    artefact_hash = write_artefact(request.output_dir, kind="radiology", files=files, meta=meta)
    shutil.rmtree(request.checkpoint_dir / SCRATCH)  # films lie in the dataset only
    progress(ProgressEvent("done", metrics=_plain({"test_auc": metrics["test"]["auc"]})))
    measured = {**metrics, **({"inference": judged.profile} if judged.profile else {})}
    return TrainResult(request.output_dir, artefact_hash, measured)


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


def _start(config: TrainConfig, weights: Weights | None, labels: list[str], dataset: Dataset) -> str:
    origin = f"from {weights.path.name}" if weights else "from scratch, there are no pretrained weights"
    left_out = sorted(set(dataset.findings) - set(labels))
    without = f"; too few films to learn {', '.join(left_out)}" if left_out else ""
    return f"{config.backbone} {origin}{without}"


def _said_of_dataset(dataset: Dataset, key: str) -> dict[str, Any]:
    weights = dataset.manifest.get("weights")
    told = {"name": dataset.manifest["name"], "manifest_sha256": key}
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
    dataset: Dataset, films: Films, parts: dict[str, Ints], said: dict[str, Floats],
    points: list[float | None], names: list[str], seed: int,
) -> dict[str, Any]:  # fmt: skip
    out: dict[str, Any] = {}
    for name, part, rounds in (("validation", "val", 0), ("test", "test", BOOTSTRAP)):
        rows = parts[part]
        report = measures(
            films.labels[rows], said[part], points, names, dataset.table.iloc[rows], seed, rounds
        )
        intervals = {key: list(pair) for key, pair in report.intervals.items()}
        out[name] = {**report.values, **({"intervals": intervals} if intervals else {})}
    return out


def _test_scores(
    dataset: Dataset, films: Films, rows: Ints, said: Floats, points: list[float | None], names: list[str]
) -> Scored:
    """A film is known again by its pixels, whatever file they came in."""
    table = dataset.table.iloc[rows]
    return scored(
        names=names, points=points, cases=[(one,) for one in table["pixel_sha256"]],
        groups=table["patient_id"], rows=rows, labels=films.labels[rows], scores=said, weights=None,
        subgroups=dict(subgroups_of(table)),
    )  # fmt: skip


def _plain(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
