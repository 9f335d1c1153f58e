"""What each form of a network costs here, and what it still knows: torch, ONNX, 8-bit integers.

    python -m benchmarks.inference_variants [DATA] [--work FOLDER] [--films N] [--epochs N] [--backbones A,B]

Each network is taught shortly on films of DATA's Kermany set at 224 pixels (from ImageNet where DATA has its
weights), split by patient, and judged by `ml.radiology.variants` as a training judges its own: AUC on
validation films, times on two threads, the forms in turn. A network that is done is kept in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.radiology_films import data_folder, kermany
from benchmarks.report import report
from ml.common.contracts import ProgressEvent
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import Films
from ml.radiology.fitting import fit_network
from ml.radiology.importing import Dataset, load_frozen
from ml.radiology.model import Network, build_network, onnx_bytes
from ml.radiology.predict import onnx_session
from ml.radiology.readout import Readout, Rows, golden_squares, learn_readout
from ml.radiology.variants import judge_variants
from ml.radiology.weights import find_weights

BACKBONES = "resnet18,mobilenetv2_100,efficientnet_b0,densenet121"
SIDE, JUDGED_ON, SEED = 224, 500, 0
KEYS = ("ms_1", "ms_16", "mb", "cpu_s_per_1000", "auc")
LABELS = ["Pneumonia"]
Ints = npt.NDArray[np.intp]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?")
    parser.add_argument("--work", default="var/benchmarks/radiology")
    parser.add_argument("--films", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--backbones", default=BACKBONES)
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    data, work = data_folder(given.data), Path(given.work)
    work.mkdir(parents=True, exist_ok=True)
    dataset = load_frozen(kermany(data, work))
    settings = {"films": given.films, "judged_on": JUDGED_ON, "epochs": given.epochs, "image_size": SIDE}
    table: list[dict[str, Any]] = []
    measures: dict[str, float] = {}
    for backbone in given.backbones.split(","):
        done = _kept(work / f"variants-{backbone}.json", settings, dataset, data, backbone)
        for form, row in done["variants"].items():
            table.append({"network": backbone, "form": form, **row, "pretrained": done["pretrained"]})
            measures |= {f"{backbone}_{form}_{key}": row[key] for key in KEYS}
    report("inference_variants", table, measures, settings=settings)


def _kept(path: Path, settings: dict[str, Any], dataset: Dataset, data: Path, backbone: str) -> Any:
    if path.is_file() and (kept := json.loads(path.read_text()))["settings"] == settings:
        return kept["done"]
    done = _judged(dataset, data, backbone, settings)
    path.write_text(json.dumps({"settings": settings, "done": done}))
    return done


def _judged(dataset: Dataset, data: Path, backbone: str, settings: dict[str, Any]) -> dict[str, Any]:
    weights = find_weights(data / "weights", backbone)
    config = TrainConfig(backbone=backbone, epochs=settings["epochs"], image_size=SIDE, head_epochs=0)
    if not weights:
        config = TrainConfig(
            backbone=backbone, epochs=settings["epochs"], image_size=SIDE, head_epochs=0,
            learning_rate=config.learning_rate * config.scratch_rate,
        )  # fmt: skip
    network = build_network(backbone, len(LABELS), SIDE, weights, SEED)
    films, rows = _films(dataset, network, settings["films"])
    with tempfile.TemporaryDirectory() as folder:
        fit_network(network, films, rows.train, rows.val, config, seed=SEED, device="cpu",
                    checkpoint_dir=Path(folder), resume=False, key=backbone, progress=_say)  # fmt: skip

    def learn(session: Any) -> Readout:
        return learn_readout(session, films, rows, 0.9)

    onnx = onnx_bytes(network)
    golden = golden_squares(network.preprocessing)
    full = learn(onnx_session(onnx))
    judged = judge_variants(network, onnx, full, learn, LABELS, films, rows, golden, SEED)
    return {**judged.profile, "pretrained": weights is not None}


def _films(dataset: Dataset, network: Network, n: int) -> tuple[Films, Rows]:
    """n films to teach and JUDGED_ON to judge on, drawn evenly from their parts."""
    picked = np.concatenate([_drawn(dataset, "train", n), _drawn(dataset, "val", JUDGED_ON)])
    squares = np.stack([network.preprocessing.fit(dataset.film(int(row))) for row in picked])
    labels = np.ascontiguousarray(dataset.labels[picked])
    films = Films(squares, labels, np.ones(len(picked), np.float32), network.preprocessing)
    train, val = np.split(np.arange(len(picked)), [n])
    return films, Rows(train, val, val, list(dataset.table["patient_id"].iloc[picked]))


def _drawn(dataset: Dataset, part: str, n: int) -> Ints:
    rows = np.flatnonzero(dataset.table["split"] == part)
    return np.sort(np.random.default_rng(SEED).permutation(rows)[:n])


def _say(event: ProgressEvent) -> None:
    if "val_auc" in event.metrics:
        sys.stderr.write(f"epoch {event.epoch}: AUC {event.metrics['val_auc']:.4f}\n")


if __name__ == "__main__":
    main()
