"""What a comparison came to, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.modelops.common.measures import Cell, Row, Table, main_measures, title_of
from apps.modelops.models import ModelVersion
from apps.modelops.registry import Domain
from apps.modelops.versions.cases import Link, links

MEASURES = ("auc", "ap", "sensitivity", "specificity", "brier", "ece")
VERDICTS = {
    "not_worse": ("good", "check", "not worse"),
    "worse": ("critical", "alert", "worse"),
    "not_shown": ("attention", "info", "not shown"),
}
KINDS = {
    "now_caught": "Now caught", "now_missed": "Now missed", "now_false": "New false alarms",
    "no_longer_false": "False alarms gone",
}  # fmt: skip
PARTS = {
    "caught_both": "Caught by both", "caught_first": "by the first alone",
    "caught_other": "by this one alone", "missed_both": "by neither", "alarm_both": "False alarms of both",
    "alarm_first": "of the first alone", "alarm_other": "of this one alone",
}  # fmt: skip
SPEEDS = (("mb", "Size, MB"), ("ms_1", "ms for one"), ("ms_16", "ms for sixteen"))


@dataclass(frozen=True, slots=True)
class Flip:
    title: str
    facts: list[tuple[str, str]]
    finding: str
    first: float
    first_point: float
    score: float
    point: float
    picture_row: int | None
    link: Link | None


def name_of(version: ModelVersion) -> str:
    return f"Version {version.number}"


def measured_table(versions: Sequence[ModelVersion]) -> Table:
    """Each on its own test, as its card has it."""
    parts = [(name_of(one), one.metrics.get("test", {})) for one in versions]
    return main_measures("As each was measured", dict(parts))


def page_of(domain: Domain, versions: Sequence[ModelVersion], told: Mapping[str, Any]) -> dict[str, Any]:
    """Context of the template, from `ml.common.comparing.compare` and what the worker added to it."""
    others = list(zip(versions[1:], told["versions"][1:], strict=False))
    return {
        "told": told,
        "enough": bool(told["versions"]),
        "measures": _measures(versions, told),
        "subgroups": [(one, _subgroups(each)) for one, each in others if each.get("subgroups")],
        "overlaps": [_overlap(one, each) for one, each in others if each.get("overlap")],
        "flips": [(one, _flips(domain, one, each)) for one, each in others],
        "speeds": _speeds(versions, told),
        "points": told.get("margin", 0) * 100,
    }


def _measures(versions: Sequence[ModelVersion], told: Mapping[str, Any]) -> Table:
    """Of each its measure on the shared cases and, beside it, the difference to the first."""
    columns: list[str] = []
    for place, version in enumerate(versions[: len(told["versions"])]):
        columns += (
            [name_of(version)] if place == 0 else [name_of(version), f"less {name_of(versions[0]).lower()}"]
        )
    rows = []
    for measure in MEASURES:
        cells: list[Cell | None] = []
        for place, each in enumerate(told["versions"]):
            cells.append(Cell(each["measures"][measure]))
            if place:
                cells.append(_difference(each["differences"][measure]))
        if any(cell and cell.value is not None for cell in cells):
            hint = "lower is better" if measure in ("brier", "ece") else ""
            rows.append(Row(title_of(measure), hint, list(zip(columns, cells, strict=True))))
    return Table("On the cases all of them have", columns, rows)


def _difference(told: Mapping[str, Any]) -> Cell:
    return Cell(told["value"], told["low"], told["high"])


def _subgroups(each: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": title_of(name), "n": told["n"], "first": told["first"], "auc": told["auc"],
            "difference": _difference(told), "verdict": VERDICTS[told["verdict"]],
        }
        for name, told in each["subgroups"].items()
    ]  # fmt: skip


def _overlap(version: ModelVersion, each: Mapping[str, Any]) -> Table:
    columns = list(PARTS.values())
    rows = [
        Row(name, "", [(title, Cell(told[part])) for part, title in PARTS.items()])
        for name, told in each["overlap"].items()
    ]
    return Table(f"What each catches, {name_of(version).lower()} beside the first", columns, rows)


def _flips(domain: Domain, version: ModelVersion, each: Mapping[str, Any]) -> list[tuple[str, list[Flip]]]:
    """By kind. Links are looked for now: what a page opens may be gone since."""
    flips = each.get("flips", [])
    known = links(domain, version.dataset, [one["case"]["key"] for one in flips])
    found: dict[str, list[Flip]] = {title: [] for title in KINDS.values()}
    for one in flips:
        case = one["case"]
        found[KINDS[one["kind"]]].append(
            Flip(
                case["title"], [tuple(fact) for fact in case["facts"]], one["finding"], one["first"],
                one["first_point"], one["score"], one["point"],
                one["row"] if case["has_picture"] else None, known.get(case["key"]),
            )
        )  # fmt: skip
    return [(title, those) for title, those in found.items() if those]


def _speeds(versions: Sequence[ModelVersion], told: Mapping[str, Any]) -> Table:
    columns = [title for _, title in SPEEDS]
    rows = [
        Row(name_of(version), "", [(title, Cell(speed.get(key))) for key, title in SPEEDS])
        for version, speed in zip(versions, told.get("speeds", []), strict=False)
    ]
    return Table("Size and speed", columns, rows)
