"""A control experiment: a model taught labels that were dealt out by chance.

What it learns is nothing, so whatever judges models must refuse it: a gate that lets it pass has a hole, and
so has a test that finds it good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.options import choice

NONE, SHUFFLED = "none", "shuffled_labels"
LIMIT = "A control experiment: the labels it was taught were shuffled, so it knows nothing."
Rows = npt.NDArray[np.intp] | npt.NDArray[np.bool_]


def control_option() -> Any:
    """The dataclass field of a domain's training options."""
    said = "of the experiment: shuffled labels make a version that knows nothing, which the gate must refuse"
    return choice(NONE, (NONE, SHUFFLED), said)


def shuffled_within(
    labels: npt.NDArray[np.float32], parts: Iterable[Rows], seed: int
) -> npt.NDArray[np.float32]:
    """A copy in which each part's labels (n,) or (n, findings) lie in another order: shares stay as they are,
    rows of several findings stay together. Rows of no part are left as they are."""
    dealt, rng = labels.copy(), np.random.default_rng(seed)
    for rows in parts:
        dealt[rows] = rng.permutation(labels[rows])
    return dealt
