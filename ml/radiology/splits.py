"""Who learns, chooses, is tested, stands at the gate: by patient, exact copies together, once for ever."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

# Of patients, from the bottom of 0..1; the rest trains. The gate is what a promotion is judged on: no
# trainer reads it.
SHARES = {"gate": 0.10, "test": 0.15, "val": 0.15}
ENOUGH = 0.05  # a given part smaller than this share of the films cannot carry its job
GIVEN = {
    "": "", "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test", "gate": "gate",
}  # fmt: skip
STRENGTH = {"": 0, "train": 1, "val": 2, "test": 3, "gate": 4}
HELD_OUT = ("test", "gate")
Ints = npt.NDArray[np.intp]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Dealing:
    """How films get a part. `key` is the site's, so that a patient has one part in all its datasets;
    `gate_share` of the patients a given split trains on go to the gate; `held` are the cases that tested or
    gated in an earlier dataset, as `cases_held` names them."""

    key: bytes = b""
    gate_share: float = 0.0
    held: Mapping[str, str] = field(default_factory=dict)


def check_given(words: Iterable[str]) -> None:
    """Raises ValueError for a word that names no part: to deal such films anew could teach on a test."""
    for word in words:
        if _plain(word) not in GIVEN:
            raise ValueError(
                f"{word[:40]!r} in the column split is no part: write train, val, test, gate or nothing."
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


def part_of(patient: str, key: bytes) -> str:
    """By the patient and the site's key alone, whatever else a dataset holds."""
    return _part_at(_place_of(patient, key))


def _place_of(patient: str, key: bytes) -> float:
    """0 to 1, evenly over patients."""
    return int.from_bytes(_digest(patient, key)[:8]) / 2**64


def _digest(patient: str, key: bytes) -> bytes:
    return hmac.new(key, patient.strip().encode(), hashlib.sha256).digest()


def _part_at(place: float) -> str:
    below = 0.0
    for part, share in SHARES.items():
        below += share
        if place < below:
            return part
    return "train"


def split(
    patients: Sequence[str], pixels: Sequence[str], given: Sequence[str], dealing: Dealing | None = None
) -> list[str]:
    """gate, test, val, train, excluded or held for each film; `pixels` are hashes.

    A given split stands. Where it would put one group (a patient, or films of the very same pixels) in two
    parts, the strongest keeps its films and the others are excluded. Groups without a part get theirs by the
    patient's hash, and so does part of a given train where there is no test, or too small a val to choose
    on. What tested or gated before does so again; given to train or choose now, it is held out. Raises
    ValueError for a given word that names no part.
    """
    dealing = dealing or Dealing()
    check_given(given)
    groups = groups_of(patients, pixels)
    wanted = [GIVEN[_plain(word)] for word in given]
    strongest = _strongest(groups, wanted)
    decided = np.array([strongest[group] for group in groups], object)
    short = {part for part in ("test", "val") if _is_short(decided, part)}
    before = _strongest(groups, _held_before(patients, pixels, wanted, dealing))
    lowest: dict[int, float] = {}
    for group, patient in zip(groups, patients, strict=True):
        lowest[group] = min(lowest.get(group, 1.0), _place_of(patient, dealing.key))
    parts = {
        group: _dealt(part, before[group], lowest[group], short, dealing.gate_share)
        for group, part in strongest.items()
    }
    return [
        _final(parts[group], word, strongest[group], before[group])
        for group, word in zip(groups, wanted, strict=True)
    ]


def _held_before(
    patients: Sequence[str], pixels: Sequence[str], wanted: Sequence[str], dealing: Dealing
) -> list[str]:
    """test, gate or nothing for each film. Of films with a given part only the pixels are asked for: a
    published table's numbers are its own, and may be another patient's elsewhere."""
    found = []
    for patient, pixel, part in zip(patients, pixels, wanted, strict=True):
        whose = "" if part else dealing.held.get(case_of(patient, dealing.key), "")
        found.append(max(whose, dealing.held.get(f"pixels:{pixel}", ""), key=STRENGTH.__getitem__))
    return found


def _strongest(groups: Ints, words: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for group, word in zip(groups, words, strict=True):
        found[group] = max(found.get(group, ""), word, key=STRENGTH.__getitem__)
    return found


def _is_short(decided: Objects, part: str) -> bool:
    there = float(np.mean(decided == part))
    return there == 0 if part == "test" else there < ENOUGH


def _dealt(given: str, before: str, place: float, short: set[str], gate_share: float) -> str:
    if given == "":
        return before or _part_at(place)
    if given == "train" and place < gate_share:
        return "gate"
    return _part_at(place) if given == "train" and _part_at(place) in short else given


def _final(part: str, word: str, strongest: str, before: str) -> str:
    if word not in ("", strongest):
        return "excluded"
    return "held" if may_not(part, before) else part


def may_not(part: str, before: str) -> bool:
    """Whether what was `before` in an earlier dataset (test, gate or nothing) is barred from the part now."""
    return before != "" and STRENGTH[part] < STRENGTH[before]


def case_of(patient: str, key: bytes) -> str:
    """Names a patient to nobody who does not hold the key."""
    return f"patient:{_digest(patient, key).hex()}"


def cases_held(table: pd.DataFrame, key: bytes) -> dict[str, str]:
    """Of a frozen table the cases that no later dataset may teach on, with their part."""
    found: dict[str, str] = {}
    table = table[table["split"].isin(HELD_OUT)]
    columns = (table[name].astype(str) for name in ("patient_id", "pixel_sha256", "given", "split"))
    for patient, pixel, given, part in zip(*columns, strict=True):
        found[f"pixels:{pixel}"] = part
        if not given.strip():
            found[case_of(patient, key)] = part
    return found
