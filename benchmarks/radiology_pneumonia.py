"""Published results on PneumoniaMNIST and Kermany's films beside ours.

    python -m benchmarks.radiology_pneumonia [DATA] [--work FOLDER] [--only mnist,cross,scratch] [--choose]

DATA holds radiology/ and weights/ (default LYNCEUS_DATA, then ../shared/data). Everything goes through
`ml.radiology.train`, as `manage.py train radiology` does. What is done is kept in FOLDER, so a run that was
stopped goes on. `--choose` prints validation only: so settings were chosen; the official test is scored once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.radiology_films import (
    PUBLISHED_28,
    PUBLISHED_224,
    data_folder,
    kermany,
    pneumonia_mnist,
    published_rows,
)
from benchmarks.report import report
from ml.common.contracts import ProgressEvent, TrainRequest
from ml.common.devices import choose_device
from ml.common.metrics import roc_auc
from ml.radiology.config import PRESETS, TrainConfig
from ml.radiology.dataset import Films
from ml.radiology.fitting import fit_network
from ml.radiology.folds import logits_of
from ml.radiology.importing import load_frozen
from ml.radiology.model import build_network
from ml.radiology.train import train
from ml.radiology.weights import Weights, find_weights

# Sensitivity is asked for at .95, and the operating point follows on validation alone.
MNIST = {"backbone": "mobilenetv2_100", "image_size": 64, "epochs": 14, "batch_size": 64,
         "learning_rate": 2e-3, "augment": 1.5, "dropout": 0.3, "label_smoothing": 0.05,
         "weight_decay": 0.05, "patience": 14, "averaging": 0.99, "target_sensitivity": 0.95}  # fmt: skip
CROSS = {**PRESETS["full"], "backbone": "mobilenetv2_100", "folds": 5}
BACKBONE = "mobilenetv2_100"
SMALL: dict[str, Any] = {
    "image_size": 64,
    "augment": 0.5,
    "patience": 40,
    "batch_size": 16,
    "learning_rate": 1e-3,
}
AMOUNTS = {100: 20, 500: 8, 0: 2}  # films, 0 for all, and how often they are seen
SEEDS = (0, 1, 2)
CHOOSE = 200  # films of validation that choose the epoch
Ints = npt.NDArray[np.intp]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?")
    parser.add_argument("--work", default="var/benchmarks/radiology")
    parser.add_argument("--only", default="mnist,cross,scratch")
    parser.add_argument("--choose", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))
    data, work = data_folder(given.data), Path(given.work)
    work.mkdir(parents=True, exist_ok=True)
    parts = {"mnist": _mnist, "cross": _cross, "scratch": _scratch}
    wanted = given.only.split(",")
    done = {name: parts[name](data, work) for name in parts if name in wanted}
    if given.choose:
        for name, result in done.items():
            sys.stdout.write(f"{name} {json.dumps(result.get('validation', result))}\n")
        return
    rows, measures = _table(done)
    report("radiology_pneumonia", rows, measures, settings={"mnist": MNIST, "cross": CROSS, "scratch": SMALL})


def _mnist(data: Path, work: Path) -> dict[str, Any]:
    return _trained(work / "mnist-run", pneumonia_mnist(data, work), data, MNIST)


def _cross(data: Path, work: Path) -> dict[str, Any]:
    return _trained(work / "cross-run", kermany(data, work), data, CROSS)


def _trained(folder: Path, dataset: Path, data: Path, params: dict[str, Any]) -> dict[str, Any]:
    """A training through the front door; kept with its settings."""
    device = choose_device()

    def work() -> dict[str, Any]:
        checkpoints = folder.with_name(f"{folder.name}-checkpoints")
        checkpoints.mkdir(exist_ok=True)
        request = TrainRequest(dataset, folder, checkpoints, params, device=device, resume=True,
                               weights_dir=data / "weights")  # fmt: skip
        return {**train(request, _say).metrics, "device": device}

    return _kept(folder.with_name(f"{folder.name}.json"), params, work)


def _scratch(data: Path, work: Path) -> dict[str, Any]:
    """AUC on films of other patients, by how many films taught, from ImageNet weights and from nothing."""
    dataset = load_frozen(kermany(data, work))
    parts = {name: np.flatnonzero(dataset.table["split"] == name) for name in ("train", "val", "test")}
    preprocessing = build_network(BACKBONE, 1, SMALL["image_size"], None, 0).preprocessing
    squares = np.stack([preprocessing.fit(dataset.film(row)) for row in range(len(dataset.table))])
    # Not the first ones: the table is in order of its findings.
    chosen_on = np.random.default_rng(0).permutation(parts["val"])[:CHOOSE]
    found: dict[str, Any] = {}
    for n, epochs in AMOUNTS.items():
        for start, seed in product(("pretrained", "scratch"), SEEDS):
            name = f"{start}-{n or 'all'}-{seed}"
            taught = np.random.default_rng(seed).permutation(parts["train"])[: n or None]

            def work_out(taught: Ints = taught, epochs: int = epochs, start: str = start, seed: int = seed,
                         name: str = name) -> dict[str, Any]:  # fmt: skip
                rows = {**parts, "train": taught, "val": chosen_on}
                weights = find_weights(data / "weights", BACKBONE) if start == "pretrained" else None
                return {"auc": _auc(dataset.labels, squares, rows, epochs, weights, seed, work / name)}

            settings = {**SMALL, "epochs": epochs, "choose": CHOOSE}
            found[name] = _kept(work / f"{name}.json", settings, work_out)["auc"]
    return found


def _auc(
    labels: Any,
    squares: Any,
    rows: dict[str, Ints],
    epochs: int,
    weights: Weights | None,
    seed: int,
    folder: Path,
) -> float:
    config = TrainConfig(backbone=BACKBONE, epochs=epochs, **SMALL)
    network = build_network(BACKBONE, 1, config.image_size, weights, seed)
    films = Films(squares, labels, np.ones(len(squares), np.float32), network.preprocessing)
    folder.mkdir(exist_ok=True)
    fit_network(network, films, rows["train"], rows["val"], config, seed=seed, device="cpu",
                checkpoint_dir=folder, resume=True, key=folder.name, progress=_say)  # fmt: skip
    auc = roc_auc(labels[rows["test"], 0].astype(int), logits_of(network, films, rows["test"])[:, 0])
    if auc is None:
        raise ValueError("The test part lacks a class.")
    return auc


def _kept(path: Path, settings: dict[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if path.is_file() and (kept := json.loads(path.read_text()))["settings"] == settings:
        return dict(kept["done"])
    done = work()
    path.write_text(json.dumps({"settings": settings, "done": done}))
    return done


def _say(event: ProgressEvent) -> None:
    if event.metrics or event.message:
        numbers = {name: round(v, 4) for name, v in event.metrics.items() if not name.startswith("share_")}
        sys.stderr.write(f"{event.phase} {event.epoch or ''} {event.message} {numbers or ''}\n")


def _table(done: dict[str, dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    rows: list[dict[str, Any]] = []
    measures: dict[str, float] = {}
    if "mnist" in done:
        test = done["mnist"]["test"]
        ours = {
            "model": f"Lynceus, {MNIST['image_size']} px from 28",
            "auc": test["auc"],
            "accuracy": test["accuracy"],
        }
        rows += [*published_rows(PUBLISHED_28), {**ours, "test": "official", "intervals": test["intervals"]}]
        measures |= {"auc_28": test["auc"], "acc_28": test["accuracy"]}
    if "cross" in done:
        over_all = done["cross"]["cross_validation"]["all"]
        ours = {
            "model": "Lynceus at 224",
            "auc": over_all["auc"],
            "accuracy": over_all["accuracy"],
        }
        rows += [*published_rows(PUBLISHED_224), {**ours, "test": "5 folds by patient of the training part",
                  "device": done["cross"]["device"]}]  # fmt: skip
        measures |= {"auc_224_cv": over_all["auc"], "acc_224_cv": over_all["accuracy"]}
    for n in AMOUNTS if "scratch" in done else ():
        for start in ("scratch", "pretrained"):
            each = [done["scratch"][f"{start}-{n or 'all'}-{seed}"] for seed in SEEDS]
            rows.append({"model": f"{start}, {n or 'all'} films", "auc": float(np.mean(each)), "each": each})
            measures[f"auc_{start}_{n or 'all'}"] = float(np.mean(each))
    return rows, measures


if __name__ == "__main__":
    main()
