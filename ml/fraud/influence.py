"""Which earlier events moved what the network adds to an event's log-odds, and by how much.

The network is asked about the event with a memory of its latest earlier event alone, of its latest two, and
so on: what one more changes is that event's part. The parts telescope, so that they add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import Influence, Vector
from ml.fraud.rnn import Gru

Matrix = npt.NDArray[np.float32]


def influences(
    gru: Gru, vectors: Matrix, margins: Vector, histories: Sequence[Matrix], theirs: Sequence[Vector]
) -> list[Influence]:
    """For each of n events, whose added log-odds stand last in vectors (n, f + 1); margins (n,) of the trees.

    histories: of each event its latest earlier ones, oldest first, (k, f) with margins `theirs` (k,); k may
    differ, and be 0. What they do not account for is the rest.
    """
    features = np.concatenate([vectors[:, :-1], *histories])
    ends = len(vectors) + np.cumsum([len(history) for history in histories])
    sequences = []
    for event, (end, history) in enumerate(zip(ends, histories, strict=True)):
        whole = np.append(np.arange(end - len(history), end), event)
        sequences += [whole[start:] for start in range(len(whole))]
    added = np.zeros((len(vectors), max(map(len, histories), default=0) + 1))
    # A sequence of k earlier events comes to the event itself, which lies among the first rows, at step k.
    for k, (rows, corrections) in enumerate(gru.run(features, np.concatenate([margins, *theirs]), sequences)):
        there = rows < len(vectors)
        added[rows[there], k] = corrections[there]
    return [
        _parts(given[: len(history) + 1], float(vector[-1]))
        for given, history, vector in zip(added, histories, vectors, strict=True)
    ]


def _parts(given: npt.NDArray[np.float64], recorded: float) -> Influence:
    """`given`: the additions with 0, 1, ... of the latest earlier events."""
    return Influence(
        by_itself=float(given[0]),
        of_earlier=tuple(np.diff(given)[::-1].tolist()),
        rest=recorded - float(given[-1]),
    )
