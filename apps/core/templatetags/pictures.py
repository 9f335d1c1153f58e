"""Geometry for the small server-drawn pictures. The Content-Security-Policy forbids inline style, so every
length that depends on data is an SVG attribute, computed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import template

register = template.Library()


def _read(item: Any, *names: str) -> Any:
    for name in names:
        value = item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
        if value is not None:
            return value
    return None


@register.simple_tag
def waterfall(reasons: Iterable[Any], base: float | str | None = None) -> dict[str, Any]:
    """Bars that add up, in log-odds: each begins where the one before ended, from `base` (default 0).

    Items have `text` and `contribution` (or `weight`), as keys or attributes, and may have `href` (where the
    text leads), `at` (when that was), and `value` and `baseline` in words. `left` and `span` are the
    viewBox's horizontal extent, shared by every bar so that they line up.
    """
    start = float(base or 0.0)
    at = start
    rows = []
    for reason in reasons:
        weight = float(_read(reason, "contribution", "weight") or 0.0)
        told = {name: _read(reason, name) for name in ("text", "href", "at", "value", "baseline")}
        rows.append(told | {"weight": weight, "start": at, "x": min(at, at + weight)})
        at += weight
    edges = [0.0, start, at, *(row["start"] for row in rows)]
    left, right = min(edges), max(edges)
    margin = (right - left or 1.0) * 0.02
    return {
        "rows": [row | {"width": abs(row["weight"])} for row in rows],
        "base": start,
        "end": at,
        "left": left - margin,
        "span": (right - left or 1.0) + 2 * margin,
    }


@register.filter
def span_from_zero(value: float) -> dict[str, float]:
    """The bar between zero and a value: `x` and `width` in the value's own units."""
    number = float(value)
    return {"x": min(0.0, number), "width": abs(number)}


@register.filter
def stacked(phases: Iterable[Any]) -> list[dict[str, Any]]:
    """Shares laid end to end over 0..1, each with its place and a hue of the chart palette; and the seconds
    they stand for, where they are of time."""
    at = 0.0
    rows = []
    for number, phase in enumerate(phases):
        share = float(_read(phase, "share") or 0.0)
        told = {name: _read(phase, name) for name in ("name", "seconds")}
        rows.append(told | {"share": share, "percent": 100 * share, "x": at, "hue": number % 7})
        at += share
    return rows


@register.simple_tag
def active_place(nav: Sequence[Mapping[str, str]], path: str, given: str = "") -> str:
    """The rail entry a page belongs to: the one it names, else the longest URL its path starts with."""
    if given:
        return given
    covering = [place for place in nav or () if path.startswith(place["url"])]
    return max(covering, key=lambda place: len(place["url"]))["active_key"] if covering else ""
