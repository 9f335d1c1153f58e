"""Who learns, who chooses, who is tested: by patient, exact copies together, decided once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

SHARES = {"val": 0.15, "test": 0.15}  # the rest trains
ENOUGH = 0.05  # a given part smaller than this share of the films cannot carry its job
GIVEN = {
    "": "", "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
STRENGTH = {"": 0, "train": 1, "val": 2, "test": 3}
GOLDEN = 0.6180339887498949
Ints = npt.NDArray[np.intp]
Objects = npt.NDArray[np.object_]


def check_given(words: Iterable[str]) -> None:
    """Raises ValueError for a word that names no part: to deal such films anew could teach on a test."""
    for word in words:
        if _plain(word) not in GIVEN:
            raise ValueError(
                f"{word[:40]!r} in the column split is no part: write train, val, test or nothing."
            )


def _plain(word: str) -> str:
    """Published tables number their parts: val16 is a val."""
    return word.strip().lower().rstrip("0123456789")


def groups_of(*keys: Sequence[str]) -> Ints:
    """(n,) numbers of the groups that share any key, transitively: a patient, or the very same pixels."""
    n = len(keys[0])
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for column in keys:
        first: dict[str, int] = {}
        for i, key in enumerate(column):
            a, b = root(first.setdefault(key, i)), root(i)
            parent[max(a, b)] = min(a, b)
    return np.unique([root(i) for i in range(n)], return_inverse=True)[1]


def pattern_of_groups(groups: Ints, patterns: Sequence[str], rows: Ints) -> dict[int, str]:
    """Each group in `rows` with the pattern of labels by which it is dealt: the fullest of its films."""
    found: dict[int, str] = {}
    for row in rows:
        group = int(groups[row])
        found[group] = max(found.get(group, ""), patterns[row])
    return found


def split(groups: Ints, given: Sequence[str], patterns: Sequence[str], seed: int) -> list[str]:
    """train, val, test, or excluded for each film.

    A given split stands. Where it would put one group in two parts, the stronger (test, then val) keeps its
    films and the others are excluded. A part that is not given, or a val too small to choose on, is filled
    from groups without a part, else from train. `patterns` (a film's labels) are dealt evenly. Raises
    ValueError for a given word that names no part.
    """
    check_given(given)
    wanted = np.array([GIVEN[_plain(part)] for part in given], object)
    strongest: dict[int, str] = {}
    for group, part in zip(groups, wanted, strict=True):
        strongest[group] = max(strongest.get(group, ""), part, key=STRENGTH.__getitem__)
    decided = np.array([strongest[group] for group in groups], object)
    conflict = (wanted != "") & (wanted != decided)
    shares = {part: _missing_share(decided, part) for part in SHARES}
    for group, part in _deal(groups, decided, patterns, shares, seed).items():
        strongest[group] = part
    out = np.array([strongest[group] for group in groups], object)
    out[conflict] = "excluded"
    return [str(part) for part in out]


def _missing_share(decided: Objects, part: str) -> float:
    there = float(np.mean(decided == part))
    enough = there > 0 if part == "test" else there >= ENOUGH
    return 0.0 if enough else SHARES[part]


def _deal(
    groups: Ints, decided: Objects, patterns: Sequence[str], shares: dict[str, float], seed: int
) -> dict[int, str]:
    """A part for every group that may still get one; alike groups lie side by side and are dealt evenly."""
    free = decided == ""
    if any(shares.values()):
        free |= decided == "train"
    first = pattern_of_groups(groups, patterns, np.flatnonzero(free))
    order = np.random.default_rng(seed).permutation(sorted(first))
    dealt = {}
    for i, group in enumerate(sorted(order, key=lambda g: first[int(g)])):
        place = ((i + 0.5) * GOLDEN) % 1
        part = "test" if place < shares["test"] else "train"
        if shares["test"] <= place < shares["test"] + shares["val"]:
            part = "val"
        dealt[int(group)] = part
    return dealt
