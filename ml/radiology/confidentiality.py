"""The Basic Application Level Confidentiality Profile: PS3.15 table E.1-1 (2026c), the CSV beside this."""

from __future__ import annotations

import csv
import re
from enum import StrEnum
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")


class Action(StrEnum):
    """What is done to an attribute that the table names."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"


# Where the table leaves a choice, by what type the attribute has in the image's definition, the one that fits
# every type: a value where one may be needed, else an empty one.
CHOSEN = {
    "X": Action.REMOVE,
    "Z": Action.EMPTY,
    "D": Action.DUMMY,
    "U": Action.UID,
    "X/Z": Action.EMPTY,
    "X/D": Action.DUMMY,
    "Z/D": Action.DUMMY,
    "X/Z/D": Action.DUMMY,
    "X/Z/U*": Action.UID,
    "X/Z/U": Action.UID,
}


@cache
def table() -> dict[str, str]:
    """The profile's action by tag, GGGGEEEE; an x stands for any digit."""
    with TABLE.open(newline="") as file:
        return {row["tag"]: row["action"] for row in csv.DictReader(file)}


@cache
def action_of(tag: int) -> Action | None:
    """None where the table does not name it."""
    name = f"{tag:08X}"
    if name in table():
        return CHOSEN[table()[name]]
    repeating = ((pattern, action) for pattern, action in table().items() if "x" in pattern)
    for pattern, action in repeating:
        if re.fullmatch(pattern.replace("x", "[0-9A-F]"), name):
            return CHOSEN[action]
    return None
