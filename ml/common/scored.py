"""What a version said of each test case, kept in its artefact as `test_scores.npz`, so that versions can be
compared case by case later. No case is named in it: a hash tells which two are the same.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.common.artefact import npz_bytes

FILE = "test_scores.npz"
CASES_MAX = 500_000
UNKNOWN = -1
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scored:
    """`names` (k,) of the findings; `points` float32 (k,) where each is called, NaN where it has none. Of
    each case: `cases` uint64 (n,) what it is, `groups` uint64 (n,) whose it is (patient, card), `rows` int64
    (n,) its row in the frozen dataset, `labels` int8 (n, k) with -1 for unknown, `scores` float32 (n, k)
    calibrated, `weights` float32 (n,) how many it stands for, `subgroups` bool (n, g) those of
    `subgroup_names` (g,) it belongs to.
    """

    names: npt.NDArray[np.str_]
    points: Floats
    cases: Hashes
    groups: Hashes
    rows: Ints
    labels: Ints
    scores: Floats
    weights: Floats
    subgroup_names: npt.NDArray[np.str_]
    subgroups: Bools

    def to_bytes(self) -> bytes:
        return npz_bytes(**{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_bytes(cls, content: bytes) -> Scored:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def at(self, rows: Any) -> Scored:
        """Of these cases alone."""
        each = ("cases", "groups", "rows", "labels", "scores", "weights", "subgroups")
        return replace(self, **{name: getattr(self, name)[rows] for name in each})

    def called(self) -> Bools:
        """(n, k) whether the score reaches the operating point; never where there is none."""
        return self.scores >= self.points.astype(np.float32)


def scored(
    *, names: Sequence[str], points: Sequence[float | None], cases: Iterable[Sequence[object]],
    groups: Iterable[object], rows: Ints, labels: Floats, scores: Floats, weights: Floats | None,
    subgroups: dict[str, Bools],
) -> Scored:  # fmt: skip
    """`cases`: the parts that tell each from every other, `groups`: whose it is; `labels` (n, k) NaN where
    unknown, `scores` (n, k). Beyond CASES_MAX those with the smallest hashes are kept: the same of every one.
    """
    found = Scored(
        names=np.array(list(names), np.str_),
        points=np.array([np.nan if point is None else point for point in points], np.float32),
        cases=_hashes(cases),
        groups=_hashes([one] for one in groups),
        rows=np.asarray(rows, np.int64),
        labels=np.where(np.isnan(labels), UNKNOWN, labels).astype(np.int8),
        scores=np.asarray(scores, np.float32),
        weights=np.ones(len(scores), np.float32) if weights is None else np.asarray(weights, np.float32),
        subgroup_names=np.array(list(subgroups), np.str_),
        subgroups=np.stack(list(subgroups.values()), 1) if subgroups else np.zeros((len(scores), 0), bool),
    )
    return found if len(found.cases) <= CASES_MAX else found.at(np.sort(np.argsort(found.cases)[:CASES_MAX]))


def in_common(versions: Sequence[Scored], most: int) -> list[Scored]:
    """Each cut to the cases that all have, in one order, and to the findings that all know; at most `most`
    cases, an even draw by their hashes. The last one's labels hold: they were known latest."""
    shared, names = versions[0].cases, list(versions[0].names)
    for one in versions[1:]:
        shared = np.intersect1d(shared, one.cases)
        names = [name for name in names if name in one.names]
    shared = np.unique(shared)[:most]
    cut = [_columns(one.at(_places(one.cases, shared)), names) for one in versions]
    return [replace(one, labels=cut[-1].labels, weights=cut[-1].weights) for one in cut]


def _places(cases: Hashes, wanted: Hashes) -> Ints:
    """Where each of the wanted stands first."""
    known, first = np.unique(cases, return_index=True)
    return np.asarray(first[np.searchsorted(known, wanted)], np.int64)


def _columns(one: Scored, names: Sequence[str]) -> Scored:
    at = np.array([list(one.names).index(name) for name in names], np.int64)
    return replace(
        one, names=one.names[at], points=one.points[at], labels=one.labels[:, at], scores=one.scores[:, at]
    )


def _hashes(keys: Iterable[Sequence[object]]) -> Hashes:
    """uint64 (n,), of the parts of each key."""
    made = (hashlib.blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest() for key in keys)
    return np.array([int.from_bytes(one) for one in made], np.uint64)
