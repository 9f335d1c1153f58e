"""Does the picture look like those the model was validated on? Learnt from training films; free of torch.

The network's own features say so at two depths, and its logits say how usual its confidence is. In each of
the three spaces the distance is Mahalanobis' inside the directions training films differ in, and what lies
outside those directions is measured beside it (Lee et al. 2018; Wang et al. 2022). The largest distance
counts, each in units of what validation films usually have; the limit is set on validation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.radiology.contracts import GateVerdict

Floats = npt.NDArray[np.floating]
SPACES = ("mid", "late", "logits")
DIRECTIONS = 24
TURNED_AWAY = 0.01  # the share of good films the limit may cost; films of new patients bring some more
OUTSIDE = GateVerdict(
    False,
    "outside_validated",
    "Not analysed: outside what this model was validated on, by the look of the image.",
)


@dataclass(frozen=True, slots=True)
class Space:
    """Features (d,) are centred, scaled, and split along `axes` (k, d) of standard deviation `spread` (k,).

    `usual` is the distance (inside, outside) that validation films keep below in nine cases of ten.
    """

    centre: Floats
    scale: Floats
    axes: Floats
    spread: Floats
    usual: Floats

    def distances(self, features: Floats) -> Floats:
        """(n, d) to (n, 2): inside the directions of training films, and outside them."""
        plain = (features - self.centre) / self.scale
        along = plain @ self.axes.T
        inside = np.sqrt(np.mean((along / self.spread) ** 2, 1))
        outside = np.sqrt(np.maximum(np.sum(plain**2, 1) - np.sum(along**2, 1), 0) / plain.shape[1])
        return np.stack([inside, outside], 1)


@dataclass(frozen=True, slots=True)
class ImageGate:
    """`limit` is infinite where there were too few validation films to set one: then all pass."""

    spaces: Mapping[str, Space]
    limit: float

    def scores(self, features: Mapping[str, Floats]) -> Floats:
        """How unusual each picture is, (n,): 1 is as far out as one validation film in ten."""
        each = [space.distances(features[name]) / space.usual for name, space in self.spaces.items()]
        return np.asarray(np.concatenate(each, 1).max(1), np.float64)

    def verdicts(self, features: Mapping[str, Floats]) -> list[GateVerdict]:
        return [GateVerdict(True) if score <= self.limit else OUTSIDE for score in self.scores(features)]

    def arrays(self) -> dict[str, Floats]:
        """What an artefact keeps."""
        kept = {
            f"{name}_{part}": getattr(space, part).astype(np.float32)
            for name, space in self.spaces.items()
            for part in Space.__slots__
        }
        return {**kept, "limit": np.array(self.limit, np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> ImageGate:
        """Raises KeyError for what is no gate."""
        spaces = {
            name: Space(*(arrays[f"{name}_{part}"].astype(np.float64) for part in Space.__slots__))
            for name in SPACES
        }
        return cls(spaces, float(arrays["limit"]))


def learn_gate(train: Mapping[str, Floats], validation: Mapping[str, Floats]) -> ImageGate:
    """Features of both parts, each (n, d): the first teach what is usual, the second set units and limit."""
    spaces = {name: _space(train[name], validation[name]) for name in SPACES}
    open_gate = ImageGate(spaces, math.inf)
    scores = np.sort(open_gate.scores(validation))
    # The order statistic that a new film of the same kind exceeds with this chance (Vovk et al. 2005).
    place = math.ceil((1 - TURNED_AWAY) * (len(scores) + 1))
    return ImageGate(spaces, float(scores[place - 1]) if place <= len(scores) else math.inf)


def _space(train: Floats, validation: Floats) -> Space:
    centre = train.mean(0)
    scale = train.std(0) + 1e-3 * (train.std() + 1e-6)
    plain = (train - centre) / scale
    _, values, axes = np.linalg.svd(plain, full_matrices=False)
    k = max(1, min(DIRECTIONS, len(train) // 8, train.shape[1] - 1))
    spread = np.maximum(values[:k] / math.sqrt(len(train)), 1e-3)
    bare = Space(centre, scale, axes[:k], spread, np.ones(2))
    usual = np.maximum(np.quantile(bare.distances(validation), 0.9, 0), 1e-3)
    return Space(centre, scale, axes[:k], spread, usual)
