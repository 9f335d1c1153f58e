"""Which part of a film was exposed, as its header tells: collimator and shutter (PS3.3 C.8.7.3, C.7.6.11)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
EDGES = ("LeftVerticalEdge", "RightVerticalEdge", "UpperHorizontalEdge", "LowerHorizontalEdge")


def outside_field(dataset: Any, shape: tuple[int, ...]) -> Mask:
    """True (rows, columns) where a collimator or shutter covers the film; a broken description covers none.

    Edges and radii are in pixels, counted from 1. Of polygons the bounding box is taken.
    """
    outside = np.zeros(shape, bool)
    for kind in ("Collimator", "Shutter"):
        for form in _words(dataset, f"{kind}Shape"):
            try:
                inside = _FORMS[form](dataset, kind, shape)
            except (KeyError, TypeError, ValueError, IndexError):
                continue
            if inside.any():
                outside |= ~inside
    return outside if not outside.all() else np.zeros(shape, bool)


def _words(dataset: Any, keyword: str) -> list[str]:
    value = dataset.get(keyword) or []
    return [str(one) for one in ([value] if isinstance(value, str) else value)]


def _numbers(dataset: Any, keyword: str) -> list[int]:
    value = dataset[keyword].value
    return [int(one) for one in (value if hasattr(value, "__iter__") else [value])]


def _rectangle(dataset: Any, kind: str, shape: tuple[int, ...]) -> Mask:
    left, right, upper, lower = (_numbers(dataset, f"{kind}{edge}")[0] for edge in EDGES)
    return _box(shape, upper, lower, left, right)


def _circle(dataset: Any, kind: str, shape: tuple[int, ...]) -> Mask:
    row, column = _numbers(dataset, f"CenterOfCircular{kind}")
    [radius] = _numbers(dataset, f"RadiusOfCircular{kind}")
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def _polygon(dataset: Any, kind: str, shape: tuple[int, ...]) -> Mask:
    numbers = _numbers(dataset, f"VerticesOfThePolygonal{kind}")
    rows, columns = numbers[::2], numbers[1::2]
    return _box(shape, min(rows), max(rows), min(columns), max(columns))


def _box(shape: tuple[int, ...], upper: int, lower: int, left: int, right: int) -> Mask:
    inside = np.zeros(shape, bool)
    inside[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
    return inside


_FORMS = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}
