"""Train the film model, top to bottom.

Early stopping, calibration and operating points look at validation only; the test is scored once, at the
end, through the exported model that will serve. Everything random in an epoch is drawn from (seed, epoch), so
a run that was killed and resumed at an epoch's start gives the weights an unbroken one gives.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import save

from ml.common.artefact import npz_bytes, require_golden, write_artefact
from ml.common.contracts import ProgressCallback, ProgressEvent, TrainRequest, TrainResult
from ml.common.devices import choose_device
from ml.radiology.config import AUTO, FROM_SCRATCH, PREFERRED, TrainConfig
from ml.radiology.dataset import SQUARES, Films, prepare
from ml.radiology.evaluate import measures
from ml.radiology.fitting import fit_network
from ml.radiology.folds import cross_validate, folds_of
from ml.radiology.imagegate import SEEN, ImageGate, learn_gate
from ml.radiology.importing import Dataset, load_frozen
from ml.radiology.model import Network, build_network, onnx_bytes, torch_outputs
from ml.radiology.operating import calibration_fold, operating_points, patients_needed, temperatures
from ml.radiology.predict import FILM_FORMAT, calibrated, onnx_logits, onnx_outputs, onnx_session
from ml.radiology.splits import groups_of
from ml.radiology.subgroups import validated_on
from ml.radiology.synthetic import synthetic_film
from ml.radiology.transforms import Bytes
from ml.radiology.weights import Weights, find_weights

BOOTSTRAP = 200
GOLDEN_SEED = 2026
GATE_FILMS = 1000
EXPORT_ATOL = 1e-4
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.floating]


def train(request: TrainRequest, progress: ProgressCallback) -> TrainResult:
    """Raises ValueError for data that cannot teach, WeightsError for weights that do not fit, Cancelled
    when the callback says so, ArtefactError golden_mismatch where the export answers otherwise than torch."""
    config, weights = _choose_backbone(TrainConfig.from_params(request.params), request.weights_dir)
    dataset = load_frozen(request.dataset_dir)
    parts = {name: np.flatnonzero(dataset.table["split"] == name) for name in ("train", "val", "test")}
    columns = _teachable(dataset, parts)
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
    groups, patterns = _groups(dataset, columns)
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
    session, golden = onnx_session(onnx), _golden_squares(network)
    # What was taught must be what serves.
    taught_says = torch_outputs(network, golden)["logits"]
    exported_says = onnx_outputs(session, network.preprocessing, golden, "logits")["logits"]
    require_golden("logits after the export", exported_says, taught_says, atol=EXPORT_ATOL)
    progress(ProgressEvent("calibrate", message="on validation"))
    logits = onnx_logits(session, network.preprocessing, films.squares[calibrating])
    temperature = temperatures(logits, films.labels[calibrating])
    points = _operating_points(dataset, films, parts["val"], (session, network, temperature), config)
    progress(ProgressEvent("test", message=_said_of_points(labels, points, config)))
    metrics = _metrics(dataset, films, parts, (session, network, temperature, points), labels, request.seed)
    metrics |= {"history": history, **({"cross_validation": crossed} if crossed else {})}
    meta = {
        "labels": labels, "network": network.recipe, "preprocessing": network.preprocessing.to_meta(),
        "film_format": FILM_FORMAT,
        "temperature": dict(zip(labels, temperature.tolist(), strict=True)),
        "operating_points": dict(zip(labels, points, strict=True)),
        "validated_on": validated_on(dataset.table),
        "pretrained": weights.about() if weights else None,
        "not_taught": sorted(set(dataset.findings) - set(labels)), "config": asdict(config),
        "dataset": _said_of_dataset(dataset, dataset_key),
        "seed": request.seed, "metrics": metrics,
    }  # fmt: skip
    gate = _image_gate(session, network, films, parts)
    files = {
        "model.onnx": onnx,
        "gate.npz": npz_bytes(**gate.arrays(), head=network.head_module().weight.detach().numpy()),
        "weights.safetensors": save({k: v.contiguous() for k, v in network.module.state_dict().items()}),
        "golden.npz": _golden(network, session, gate, golden),
    }
    artefact_hash = write_artefact(request.output_dir, kind="radiology", files=files, meta=meta)
    (request.checkpoint_dir / SQUARES).unlink()  # films lie in the dataset only
    progress(ProgressEvent("done", metrics=_plain({"test_auc": metrics["test"]["auc"]})))
    return TrainResult(request.output_dir, artefact_hash, metrics)


def _choose_backbone(config: TrainConfig, folder: Path | None) -> tuple[TrainConfig, Weights | None]:
    """auto is the first network there are weights for, else the one that learns best without.

    What starts from nothing may take larger steps: there is nothing to unlearn.
    """
    for backbone in PREFERRED if config.backbone == AUTO else (config.backbone,):
        if weights := find_weights(folder, backbone):
            return replace(config, backbone=backbone), weights
    backbone = FROM_SCRATCH if config.backbone == AUTO else config.backbone
    rate = min(0.1, config.learning_rate * config.scratch_rate)
    return replace(config, backbone=backbone, learning_rate=rate), None


def _teachable(dataset: Dataset, parts: dict[str, Ints]) -> list[int]:
    """Columns of the findings that training and validation hold both present and absent."""

    def both(column: int, rows: Ints) -> bool:
        values = dataset.labels[rows, column]
        return bool((values == 1).any() and (values == 0).any())

    columns = range(len(dataset.findings))
    good = [c for c in columns if both(c, parts["train"]) and both(c, parts["val"])]
    if not good:
        raise ValueError(
            "No finding is both present and absent in the training and in the validation part: "
            "more films are needed."
        )
    return good


def _start(config: TrainConfig, weights: Weights | None, labels: list[str], dataset: Dataset) -> str:
    origin = f"from {weights.path.name}" if weights else "from scratch, there are no pretrained weights"
    left_out = sorted(set(dataset.findings) - set(labels))
    without = f"; too few films to learn {', '.join(left_out)}" if left_out else ""
    return f"{config.backbone} {origin}{without}"


def _said_of_dataset(dataset: Dataset, key: str) -> dict[str, Any]:
    weights = dataset.manifest.get("weights")
    told = {"name": dataset.manifest["name"], "manifest_sha256": key}
    return told | ({"weights": weights} if weights else {})


def _groups(dataset: Dataset, columns: list[int]) -> tuple[Ints, list[str]]:
    """Which films belong together (a patient, exact copies), and each film's pattern of findings."""
    groups = groups_of(list(dataset.table["patient_id"]), list(dataset.table["pixel_sha256"]))
    found = dataset.labels[:, columns] == 1
    return groups, ["".join("1" if one else "0" for one in row) for row in found]


def _operating_points(
    dataset: Dataset, films: Films, rows: Ints, served: tuple[Any, Network, Floats], config: TrainConfig
) -> list[float | None]:
    session, network, temperature = served
    scores = calibrated(onnx_logits(session, network.preprocessing, films.squares[rows]), temperature)
    patients = list(dataset.table["patient_id"].iloc[rows])
    return operating_points(films.labels[rows], scores, patients, config.target_sensitivity)


def _said_of_points(labels: list[str], points: list[float | None], config: TrainConfig) -> str:
    without = [label for label, point in zip(labels, points, strict=True) if point is None]
    if not without:
        return "scoring the test once"
    return (
        f"scoring the test once; insufficient evidence for an operating point of {', '.join(without)}:"
        f" validation must hold {patients_needed(config.target_sensitivity)} patients with it"
    )


def _metrics(
    dataset: Dataset, films: Films, parts: dict[str, Ints],
    served: tuple[Any, Network, Floats, list[float | None]], names: list[str], seed: int,
) -> dict[str, Any]:  # fmt: skip
    session, network, temperature, points = served
    out: dict[str, Any] = {}
    for name, part, rounds in (("validation", "val", 0), ("test", "test", BOOTSTRAP)):
        rows = parts[part]
        if not len(rows):
            continue
        scores = calibrated(onnx_logits(session, network.preprocessing, films.squares[rows]), temperature)
        report = measures(films.labels[rows], scores, points, names, dataset.table.iloc[rows], seed, rounds)
        intervals = {key: list(pair) for key, pair in report.intervals.items()}
        out[name] = {**report.values, **({"intervals": intervals} if intervals else {})}
    return out


def _image_gate(session: Any, network: Network, films: Films, parts: dict[str, Ints]) -> ImageGate:
    """Learnt from training films evenly picked, its limit set on all of validation."""
    train = parts["train"][:: max(1, len(parts["train"]) // GATE_FILMS)]
    features = [
        onnx_outputs(session, network.preprocessing, films.squares[rows], *SEEN)
        for rows in (train, parts["val"])
    ]
    return learn_gate(*features)


def _golden(network: Network, session: Any, gate: ImageGate, squares: Bytes) -> bytes:
    seen = onnx_outputs(session, network.preprocessing, squares, *SEEN)
    return npz_bytes(
        film=_golden_films()[0], square=squares[:1], squares=squares,
        logits=seen["logits"].astype(np.float64),
        unusual=ImageGate.from_arrays(gate.arrays()).scores(seen),
    )  # fmt: skip


def _golden_squares(network: Network) -> Bytes:
    """Of made-up films, so that no patient's picture travels inside a model."""
    made = _golden_films()
    return network.preprocessing.squares([one.astype(np.float32) / np.float32(65535) for one in made])


@cache
def _golden_films() -> list[npt.NDArray[np.uint16]]:
    """The first is larger than datasets keep, so that shrinking is checked too."""
    shown = [synthetic_film(GOLDEN_SEED, i, rows=600 if i == 0 else 160).shown for i in range(6)]
    return [np.rint(one * 65535).astype(np.uint16) for one in shown]


def _plain(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
