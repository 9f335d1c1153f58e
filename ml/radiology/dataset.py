"""Frozen films as batches: fitted once to the network's square, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ml.common.contracts import SCRATCH, ProgressCallback, ProgressEvent
from ml.common.progress import Ticker
from ml.radiology.importing import Dataset
from ml.radiology.transforms import Bytes, Preprocessing

SQUARES = "squares.bin"
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Films:
    """`squares` uint8 (n, side, side); `labels` float32 (n, findings), NaN where unknown; `weights` float32
    (n,), how many films each stands for."""

    squares: Bytes
    labels: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    preprocessing: Preprocessing

    def batch(self, rows: Ints, device: str) -> tuple[Tensor, Tensor, Tensor]:
        """Grey in 0..1 (n, 1, side, side), labels with 0 for unknown, and the weight of each: its film's
        where it is known, else 0."""
        grey = _moved(torch.from_numpy(self.squares[rows]), device).unsqueeze(1).float() / 255
        labels = torch.from_numpy(self.labels[rows])
        weights = (~labels.isnan()).float() * torch.from_numpy(self.weights[rows]).unsqueeze(1)
        return grey, _moved(labels.nan_to_num(0.0), device), _moved(weights, device)

    def normalise(self, grey: Tensor) -> Tensor:
        return (grey - self.preprocessing.mean) / self.preprocessing.std


def _moved(tensor: Tensor, device: str) -> Tensor:
    """From pinned memory a graphics card copies by itself while the next batch is put together."""
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" else tensor.to(device)


def prepare(dataset: Dataset, columns: list[int], preprocessing: Preprocessing, folder: Path,
            progress: ProgressCallback) -> Films:  # fmt: skip
    """Fit every film to the square once, into a file in `folder` that need not fit into memory.

    Written as a file and mapped after that: where the disk is full a write is refused, while a map that is
    written to would kill the process. Raises OSError.
    """
    n, side = len(dataset.table), preprocessing.side
    path = folder / SCRATCH / SQUARES
    path.parent.mkdir(mode=0o700, exist_ok=True)
    ticker = Ticker(n)
    with path.open("wb") as file:
        for row in range(n):
            file.write(preprocessing.fit(dataset.film(row)).tobytes())
            if row % 200 == 199:
                ticker.add(200)
                progress(
                    ProgressEvent(
                        "prepare", step=row + 1, steps=n, rate=ticker.rate, rate_unit="images",
                        eta_s=ticker.eta_s,
                    )
                )  # fmt: skip
    squares = np.memmap(path, np.uint8, "r", shape=(n, side, side))
    labels = np.ascontiguousarray(dataset.labels[:, columns])
    return Films(squares, labels, dataset.weights, preprocessing)


def shuffled(rows: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """Batches of an epoch; a last one too small for batch statistics is left out."""
    order = np.random.default_rng((seed, epoch)).permutation(rows)
    batches = [np.sort(order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
    return batches if len(batches) == 1 or len(batches[-1]) >= batch_size // 2 else batches[:-1]


def in_order(rows: Ints, batch_size: int) -> Iterator[Ints]:
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]
