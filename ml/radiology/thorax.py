"""A procedural frontal chest: anatomy drawn from a seed, as layers of what X-rays pass through."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml.radiology import organs
from ml.radiology.anatomy import Anatomy, Pose, Rng
from ml.radiology.organs import SIDES, Layer

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Scene:
    """What lies in the beam. Findings change `air`, `vessels` and `extra`; masks are kept by finding."""

    x: Layer
    y: Layer
    anatomy: Anatomy
    pose: Pose
    body: Layer
    lungs: dict[int, Layer]
    heart: Layer
    air: Layer
    vessels: Layer
    bones: Layer
    extra: Layer
    masks: dict[str, Mask] = field(default_factory=dict)

    @property
    def field(self) -> Mask:
        """The pleural cavities, also where the heart lies before them."""
        return np.asarray(np.maximum(self.lungs[-1], self.lungs[1]) > 0.5)


def build_scene(anatomy: Anatomy, pose: Pose, rows: int, rng: Rng) -> Scene:
    """A healthy chest (but for the heart's size) on a grid of `rows` lines."""
    x, y = _grid(pose, rows)
    lungs = {side: organs.lung(anatomy, pose, x, y, side) for side in SIDES}
    heart = organs.heart(anatomy, pose, x, y)
    middle = np.maximum(heart, organs.mediastinum(anatomy, x, y))
    both = np.maximum(lungs[-1], lungs[1])
    air = both * (1 - 0.72 * middle) * (0.9 + 0.1 * organs.noise(rng, x.shape, 6))
    air += 0.28 * organs.trachea(x, y) + organs.stomach(anatomy, pose, x, y, rng)
    body = organs.body(anatomy, x, y)
    bones = organs.ribs(anatomy, x, y, rng) + organs.spine(anatomy, x, y) + organs.shoulders(x, y, rng)
    vessels = anatomy.vessels * organs.vessels(x, y, rng) * both * (1 - 0.85 * middle)
    extra = organs.breasts(anatomy, x, y, rng) + 0.20 * middle
    return Scene(x, y, anatomy, pose, body, lungs, heart, air, vessels, bones * body, extra)


def _grid(pose: Pose, rows: int) -> tuple[Layer, Layer]:
    columns = round(rows * pose.columns_per_row)
    y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) * 2 / rows - 1 - pose.shift_y
    x = (np.arange(columns, dtype=np.float32)[None] + 0.5) * 2 / rows - columns / rows - pose.shift_x
    cos, sin = math.cos(pose.rotation) / pose.zoom, math.sin(pose.rotation) / pose.zoom
    turned = np.float32(cos) * x - np.float32(sin) * y, np.float32(sin) * x + np.float32(cos) * y
    return turned[0].astype(np.float32), turned[1].astype(np.float32)
