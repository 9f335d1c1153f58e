"""Does the picture look like those the model was validated on? Learnt from training films; free of torch.

The network's own features say so at two depths: Mahalanobis' distance inside the directions training films
differ in, and the length of what lies outside those directions (Lee et al. 2018; Wang et al. 2022). Its
confidence is asked too: a network in doubt about every finding has often been shown something else. Each of
the five is standardised by validation films, and what lies above their mean is squared and added up. The
limit is set on validation as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.common.calibration import sigmoid
from ml.radiology.contracts import ACCEPTED, GateVerdict

Floats = npt.NDArray[np.floating]
DEPTHS = ("mid", "late")
SEEN = (*DEPTHS, "logits")  # the network's outputs that are looked at
DIRECTIONS = 24
TURNED_AWAY = 0.01  # the share of good films the limit may cost; films of new patients bring some more
OUTSIDE = GateVerdict(
    False,
    "outside_validated",
    "Not analysed: outside what this model was validated on, by the look of the image.",
)


@dataclass(frozen=True, slots=True)
class Space:
    """Features (d,) are centred, scaled, split along `axes` (k, d) of standard deviation `spread` (k,)."""

    centre: Floats
    scale: Floats
    axes: Floats
    spread: Floats

    def distances(self, features: Floats) -> Floats:
        """(n, d) to (n, 2): inside the directions of training films, and outside them."""
        plain = (features - self.centre) / self.scale
        along = plain @ self.axes.T
        inside = np.sqrt(np.mean((along / self.spread) ** 2, 1))
        outside = np.sqrt(np.maximum(np.sum(plain**2, 1) - np.sum(along**2, 1), 0) / plain.shape[1])
        return np.stack([inside, outside], 1)


@dataclass(frozen=True, slots=True)
class ImageGate:
    """`usual` (2, 5) holds mean and deviation of what `measured` gives for validation films.

    `limit` is infinite where there were too few of them to set one: then all pass.
    """

    spaces: Mapping[str, Space]
    usual: Floats
    limit: float

    def scores(self, seen: Mapping[str, Floats]) -> Floats:
        """How unusual each picture is, (n,), from the network's outputs named in SEEN."""
        above = np.maximum((measured(self.spaces, seen) - self.usual[0]) / self.usual[1], 0)
        return np.asarray(np.sum(above**2, 1), np.float64)

    def verdicts(self, seen: Mapping[str, Floats]) -> list[GateVerdict]:
        return [ACCEPTED if score <= self.limit else OUTSIDE for score in self.scores(seen)]

    def arrays(self) -> dict[str, Floats]:
        """What an artefact keeps."""
        kept = {
            f"{name}_{part}": getattr(space, part).astype(np.float32)
            for name, space in self.spaces.items()
            for part in Space.__slots__
        }
        return {**kept, "usual": self.usual.astype(np.float32), "limit": np.array(self.limit, np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> ImageGate:
        """Raises KeyError for what is no gate."""
        plain = {name: values.astype(np.float64) for name, values in arrays.items()}
        spaces = {name: Space(*(plain[f"{name}_{part}"] for part in Space.__slots__)) for name in DEPTHS}
        return cls(spaces, plain["usual"], float(plain["limit"]))


def learn_gate(train: Mapping[str, Floats], validation: Mapping[str, Floats]) -> ImageGate:
    """The network's outputs named in SEEN for both parts, each (n, d).

    Training films teach what is usual; validation films set the units and the limit.
    """
    spaces = {name: _space(train[name]) for name in DEPTHS}
    found = measured(spaces, validation)
    open_gate = ImageGate(spaces, np.stack([found.mean(0), np.maximum(found.std(0), 1e-3)]), math.inf)
    scores = np.sort(open_gate.scores(validation))
    # The order statistic that a new film of the same kind exceeds with this chance (Vovk et al. 2005).
    place = math.ceil((1 - TURNED_AWAY) * (len(scores) + 1))
    limit = float(scores[place - 1]) if place <= len(scores) else math.inf
    return ImageGate(spaces, open_gate.usual, limit)


def measured(spaces: Mapping[str, Space], seen: Mapping[str, Floats]) -> Floats:
    """(n, 5), logarithms: two distances at each depth, and the doubt."""
    each = [spaces[name].distances(seen[name]) for name in DEPTHS]
    return np.log(np.concatenate([*each, _doubt(seen["logits"])], 1) + 1e-3)


def _doubt(logits: Floats) -> Floats:
    """The mean entropy of the findings' probabilities, in nats, (n, 1)."""
    p = np.clip(sigmoid(logits), 1e-6, 1 - 1e-6)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean(1, keepdims=True), np.float64)


def _space(train: Floats) -> Space:
    centre = train.mean(0)
    scale = train.std(0) + 1e-3 * (train.std() + 1e-6)
    plain = (train - centre) / scale
    _, values, axes = np.linalg.svd(plain, full_matrices=False)
    k = max(1, min(DIRECTIONS, len(train) // 8, train.shape[1] - 1))
    return Space(centre, scale, axes[:k], np.maximum(values[:k] / math.sqrt(len(train)), 1e-3))
