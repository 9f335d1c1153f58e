"""At which probability a finding is called, and how sure we are that few are missed; free of torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.common.calibration import fit_temperature
from ml.common.metrics import Z95, wilson_low
from ml.radiology.splits import pattern_of_groups

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.intp]


def operating_point(labels: Floats, scores: Floats, patients: Sequence[str], target: float) -> float | None:
    """The highest threshold of which we are 97.5 % sure that `score >= threshold` finds the target share.

    Labels (n,) are 1, 0 or NaN for unknown. The lower bound is Wilson's for as many cases as there are
    patients with the finding: films of one patient are no independent witnesses. None where even finding
    every case would not prove it.
    """
    present = labels == 1
    positives = np.sort(scores[present])
    n_patients = len(set(np.asarray(patients, object)[present]))
    point = None
    for missed, score in enumerate(positives):
        if wilson_low(1 - missed / len(positives), n_patients) < target:
            break
        point = float(score)
    return point


def operating_points(
    labels: Floats, scores: Floats, patients: Sequence[str], target: float
) -> list[float | None]:
    """One per finding, from labels and probabilities (n, findings)."""
    return [operating_point(labels[:, i], scores[:, i], patients, target) for i in range(labels.shape[1])]


def patients_needed(target: float) -> int:
    """How many patients with a finding it takes at least before an operating point can be set."""
    return math.ceil(Z95**2 * target / (1 - target))


def temperatures(logits: Floats, labels: Floats) -> Floats:
    """One per finding, (findings,), from logits and labels (n, findings); 1 where a class is missing."""
    out = []
    for column in range(labels.shape[1]):
        known = ~np.isnan(labels[:, column])
        truth = labels[known, column]
        both = truth.any() and not truth.all()
        out.append(fit_temperature(logits[known, column], truth) if both else 1.0)
    return np.array(out)


def calibration_fold(groups: Ints, patterns: Sequence[str], rows: Ints) -> tuple[Ints, Ints]:
    """`rows` of validation in two: those that choose the epoch, and a third that sets the temperature.

    By patient; alike patients (by the pattern of their labels) are dealt evenly.
    """
    pattern = pattern_of_groups(groups, patterns, rows)
    ordered = sorted(pattern, key=lambda group: (pattern[group], group))
    own = {group for place, group in enumerate(ordered) if place % 3 == 1}
    mine = np.array([int(groups[row]) in own for row in rows], bool)
    return rows[~mine], rows[mine]
