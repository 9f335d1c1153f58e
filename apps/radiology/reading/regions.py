"""Regions: what of a reader's drawing stands, and what a browser says it is, held to the films."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.errors import LynceusError
from apps.radiology.common.selectors import instances_of
from apps.radiology.models import Instance, Read, Region, Shape

REGIONS_MAX = 50
POINTS_MAX = 200
# What the largest drawing takes, with room for spaces.
TEXT_MAX = REGIONS_MAX * (POINTS_MAX * 20 + 400)
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One outline: two outlines that say the same are one. `instance` is a public id, `frame` is from 1."""

    label: str
    instance: str
    frame: int
    shape: str
    points: tuple[Point, ...]

    def plain(self) -> dict[str, Any]:
        return {
            "label": self.label, "instance": self.instance, "frame": self.frame, "shape": self.shape,
            "points": self.points,
        }  # fmt: skip


def drawn_by(read: Read, *, blind: bool = False) -> list[Drawn]:
    """What stands, in the order of drawing; `blind`: of what was drawn before the model's answer opened."""
    rows = read.regions.filter(after_reveal=False) if blind else read.regions
    standing: dict[Drawn, None] = {}
    for row in rows.select_related("instance").order_by("pk"):
        standing.pop(_drawn(row), None)
        if not row.taken_away:
            standing[_drawn(row)] = None
    return list(standing)


def _drawn(row: Region) -> Drawn:
    points = tuple((x, y) for x, y in row.points)
    return Drawn(row.label, str(row.instance.public_id), row.frame, row.shape, points)


def as_text(drawn: Iterable[Drawn]) -> str:
    """For the page: what `drawn_from` takes."""
    return json.dumps([one.plain() for one in drawn])


def drawn_from(text: str) -> list[Drawn]:
    """What the panel sent, in its form only: `held_to_films` has the rest. LynceusError 422 bad_region."""
    try:
        rows = json.loads(text) if len(text) <= TEXT_MAX else None
        drawn = [_from_row(row) for row in rows or ()] if isinstance(rows, list) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        drawn = None
    if drawn is None or len(drawn) > REGIONS_MAX:
        raise _bad(f"Send a list of at most {REGIONS_MAX} regions with at most {POINTS_MAX} points each.")
    return list(dict.fromkeys(drawn))


def _from_row(row: dict[str, Any]) -> Drawn:
    label, instance, frame = row["label"], row["instance"], row["frame"]
    if not isinstance(label, str) or not isinstance(instance, str) or type(frame) is not int:
        raise TypeError
    if not 2 <= len(row["points"]) <= POINTS_MAX:
        raise ValueError
    points = tuple((round(float(x), 1), round(float(y), 1)) for x, y in row["points"])
    if not all(math.isfinite(part) for point in points for part in point):
        raise ValueError
    return Drawn(label, instance, frame, Shape(row["shape"]).value, points)


def held_to_films(read: Read, drawn: Sequence[Drawn], labels: Iterable[str]) -> dict[Drawn, Instance]:
    """Each with its film. LynceusError 422 bad_region: of a finding not asked for, not of this study's films,
    beyond a film's edge, or no outline."""
    films = {str(film.public_id): film for film in instances_of(read.study)}
    known = set(labels)
    for one in drawn:
        film = films.get(one.instance)
        if one.label not in known:
            raise _bad("A region is of a finding that the panel asks for.")
        if film is None or not 1 <= one.frame <= film.NumberOfFrames:
            raise _bad("A region lies on a film of this study.")
        if not _fits(one, film):
            raise _bad(f"A region has an area, all of it on its film of {film.Columns} x {film.Rows} pixels.")
    return {one: films[one.instance] for one in drawn}


def _fits(one: Drawn, film: Instance) -> bool:
    xs, ys = [x for x, _ in one.points], [y for _, y in one.points]
    if one.shape == Shape.BOX and not (len(one.points) == 2 and xs[0] < xs[1] and ys[0] < ys[1]):
        return False
    if one.shape == Shape.CONTOUR and len(one.points) < 3:
        return False
    inside = min(xs) >= 0 and max(xs) <= film.Columns and min(ys) >= 0 and max(ys) <= film.Rows
    return inside and max(xs) > min(xs) and max(ys) > min(ys)


def _bad(message: str) -> LynceusError:
    return LynceusError("bad_region", message, status=422)
