"""Pixels to what the network sees: one way, described by data that travels in the artefact; free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.radiology.contracts import FloatImage, SmallFilm

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
FROZEN_SIDE = 512
INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Shrink to `frozen_side` as datasets are kept, fit into a square of `side`, then (x - mean) / std.

    `mean`, `std` (of a film's grey in 0..1) and `interpolation` are those of the network's own description.
    """

    side: int
    mean: float
    std: float
    interpolation: str = "bilinear"
    frozen_side: int = FROZEN_SIDE

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"No such interpolation: {self.interpolation!r}.")

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Preprocessing:
        return cls(
            int(meta["side"]), float(meta["mean"]), float(meta["std"]), str(meta["interpolation"]),
            int(meta["frozen_side"]),
        )  # fmt: skip

    def to_meta(self) -> dict[str, Any]:
        return asdict(self)

    def squares(self, films: Sequence[FloatImage]) -> Bytes:
        """Films, float32 (rows, columns) in 0..1, as uint8 (n, side, side)."""
        return np.stack([self.fit(shrink(film, self.frozen_side)) for film in films])

    def fit(self, film: Bytes) -> Bytes:
        """A film as datasets keep it, uint8 (rows, columns), into the square."""
        return fit(film, self.side, INTERPOLATIONS[self.interpolation])

    def normalise(self, squares: Bytes) -> Floats:
        """uint8 (n, side, side) to the network's input, float32 (n, 1, side, side)."""
        scaled = squares.astype(np.float32)[:, None] / 255
        return np.asarray((scaled - self.mean) / self.std, np.float32)


def small(film: FloatImage) -> SmallFilm:
    """What is shown, float32 (rows, columns) in 0..1, as datasets keep it."""
    rows, columns = film.shape
    return SmallFilm(shrink(film), (rows, columns))


def shrink(pixels: FloatImage, side: int = FROZEN_SIDE) -> Bytes:
    """float32 (rows, columns) in 0..1 to uint8 with no side longer than `side`; never enlarged."""
    rows, columns = pixels.shape
    scale = min(1.0, side / max(rows, columns))
    if scale < 1:
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32)
    return np.asarray(np.clip(pixels * 255 + 0.5, 0, 255), np.uint8)


def fit(film: Bytes, side: int, interpolation: Image.Resampling = Image.Resampling.BILINEAR) -> Bytes:
    """uint8 (rows, columns) into the middle of a black square, its proportions kept."""
    rows, columns = film.shape
    scale = side / max(rows, columns)
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    if (height, width) != film.shape:
        film = np.asarray(Image.fromarray(film).resize((width, height), interpolation))
    square = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = film
    return square
