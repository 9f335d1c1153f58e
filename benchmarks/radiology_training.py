"""How fast films are taught, beside a plain loop of timm and a DataLoader with the same settings.

    python -m benchmarks.radiology_training [DATA] [--films 256] [--rounds 4] [--backbone NAME] [--size 224]

Both see the same cached squares and train the same network with the same batches, optimiser, average of
weights, label smoothing and kinds of augmentation, on all cores, one epoch a round, in turn (ours, plain,
plain, ours). Counted are the films from the first step to the last; validation and checkpoints are not. The
plain loop has the best of its DataLoader's workers, chosen first and printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import ml.common.torchvision_pair  # noqa: F401  # before torchvision and timm

import timm  # isort: skip
from torchvision.transforms import v2  # isort: skip
from benchmarks.radiology_films import data_folder
from benchmarks.report import report
from ml.common.contracts import ProgressEvent
from ml.common.devices import choose_device
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import Films
from ml.radiology.fitting import fit_network, half_precision
from ml.radiology.model import build_network
from ml.radiology.synthetic import LABELS, synthetic_film
from ml.radiology.weights import Weights, find_weights

WORKERS = tuple(n for n in (0, 1, 2, 4, 8, 16) if n <= (os.cpu_count() or 1))
HELD_OUT = 8  # films to validate on: as few as there can be
DRAWN = 64  # pictures that repeat: what they show costs nothing


class Squares(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """As a tutorial has it: one picture at a time, changed one at a time."""

    def __init__(self, films: Films, strength: float) -> None:
        self.films = films
        normal = v2.Normalize([films.preprocessing.mean], [films.preprocessing.std])
        self.change = v2.Compose([
            v2.ToDtype(torch.float32, scale=True),
            v2.RandomAffine(7 * strength, (0.035 * strength,) * 2, (1 - 0.1 * strength, 1 + 0.1 * strength),
                            interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.05 * strength, contrast=0.12 * strength),
            v2.GaussianNoise(sigma=0.01 * strength),
            v2.RandomErasing(p=0.3 * strength, scale=(0.002, 0.04)),
            normal,
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.films.squares)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        changed = self.change(torch.from_numpy(self.films.squares[row])[None])
        return changed, torch.from_numpy(self.films.labels[row])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?")
    parser.add_argument("--films", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--size", type=int, default=224)
    given = parser.parse_args()
    config = TrainConfig(backbone=given.backbone, image_size=given.size, epochs=1, head_epochs=0, augment=1.0)
    weights, device = find_weights(data_folder(given.data) / "weights", given.backbone), choose_device("auto")
    films = _films(given.films + HELD_OUT, config, weights)
    _ours(films, config, weights, device)  # warm
    sweep = {workers: _plain(films, config, weights, device, workers)["films_per_s"] for workers in WORKERS}
    workers = max(sweep, key=lambda one: sweep[one])
    rounds = [_round(films, config, weights, device, workers, turn) for turn in range(given.rounds)]
    ratios = [one["ours"]["films_per_s"] / one["plain"]["films_per_s"] for one in rounds]
    shares = [one["ours"]["data_share"] for one in rounds]
    table = [
        {"round": i, **{f"{who} {name}": value for who in one for name, value in one[who].items()}}
        for i, one in enumerate(rounds)
    ]
    measures = {
        "vs_plain_loop": statistics.median(ratios), "vs_plain_loop_min": min(ratios),
        "vs_plain_loop_max": max(ratios), "data_bound_share": statistics.median(shares),
        "films_per_s": statistics.median(one["ours"]["films_per_s"] for one in rounds),
        "plain_films_per_s": statistics.median(one["plain"]["films_per_s"] for one in rounds),
    }  # fmt: skip
    name = "radiology_training" if device == "cpu" else f"radiology_training_{device}"
    report(name, table, measures, device=device, threads=torch.get_num_threads(),
           plain_workers={str(one): rate for one, rate in sweep.items()},
           settings={"backbone": given.backbone, "image_size": given.size, "batch_size": config.batch_size,
                     "films": given.films, "pretrained": weights is not None})  # fmt: skip


def _films(n: int, config: TrainConfig, weights: Weights | None) -> Films:
    preprocessing = build_network(config.backbone, len(LABELS), config.image_size, weights, 0).preprocessing
    drawn = [synthetic_film(5, i, rows=config.image_size).shown for i in range(DRAWN)]
    squares = preprocessing.squares(drawn)[np.arange(n) % DRAWN]
    labels = np.random.default_rng(0).integers(0, 2, (n, len(LABELS))).astype(np.float32)
    return Films(squares, labels, np.ones(n, np.float32), preprocessing)


def _round(
    films: Films, config: TrainConfig, weights: Weights | None, device: str, workers: int, turn: int
) -> dict[str, dict[str, float]]:
    def ours() -> dict[str, float]:
        return _ours(films, config, weights, device)

    def plain() -> dict[str, float]:
        return _plain(films, config, weights, device, workers)

    if turn % 2:
        second = plain()
        return {"ours": ours(), "plain": second}
    return {"ours": ours(), "plain": plain()}


def _ours(films: Films, config: TrainConfig, weights: Weights | None, device: str) -> dict[str, float]:
    network = build_network(config.backbone, films.labels.shape[1], config.image_size, weights, 0)
    rows = np.arange(len(films.squares))
    seen: list[tuple[float, ProgressEvent]] = []
    cpu = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        fit_network(
            network, films, rows[HELD_OUT:], rows[:HELD_OUT], config, seed=0, device=device,
            checkpoint_dir=Path(folder), resume=False, key="benchmark",
            progress=lambda event: seen.append((time.perf_counter(), event)),
        )  # fmt: skip
    cpu = time.process_time() - cpu
    steps = [at for at, event in seen if event.step]
    share = next(event.metrics["share_data"] for _, event in seen if "share_data" in event.metrics)
    counted = (len(steps) - 1) * config.batch_size
    return {"films_per_s": counted / (steps[-1] - steps[0]), "cpu_s": cpu, "data_share": share}


def _plain(
    films: Films, config: TrainConfig, weights: Weights | None, device: str, workers: int
) -> dict[str, float]:
    torch.manual_seed(0)
    network = build_network(config.backbone, films.labels.shape[1], config.image_size, weights, 0)
    module: Any = network.module.train().to(device, memory_format=torch.channels_last)
    average = timm.utils.ModelEmaV3(module, decay=config.averaging)
    rate, decay = config.learning_rate, config.weight_decay
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay)
    rows = torch.utils.data.Subset(Squares(films, config.augment), range(HELD_OUT, len(films.squares)))
    loader = DataLoader(rows, config.batch_size, shuffle=True, num_workers=workers, drop_last=True,
                        pin_memory=device == "cuda")  # fmt: skip
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader))
    loss_of = nn.BCEWithLogitsLoss()
    ends, cpu = [], time.process_time()
    for pictures, labels in loader:
        inputs = pictures.to(device, memory_format=torch.channels_last, non_blocking=True)
        wanted = labels.to(device) * (1 - config.label_smoothing) + config.label_smoothing / 2
        with half_precision(device):
            loss = loss_of(module(inputs), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.update(module)
        schedule.step()
        float(loss)
        ends.append(time.perf_counter())
    counted = (len(ends) - 1) * config.batch_size
    return {"films_per_s": counted / (ends[-1] - ends[0]), "cpu_s": time.process_time() - cpu}


if __name__ == "__main__":
    main()
