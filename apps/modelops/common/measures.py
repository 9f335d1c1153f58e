"""What a version was measured to do, as tables: the same for every domain, whatever it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.modelops.models import ModelVersion

# title, and which way is better
KNOWN = {
    "ap": ("Average precision", "higher is better"),
    "cp100": ("Card precision at 100", "of the 100 cards a day with the highest scores"),
    "precision_at_100": ("Precision at 100", "of the 100 payments a day with the highest scores"),
    "value_recall_at_100": ("Value recall at 100", "their share of all fraud's money"),
    "caught_minor_at_100_per_day": ("Money caught at 100", "minor units a day"),
    "auc": ("AUC", "higher is better"),
    "sensitivity": ("Sensitivity", "higher is better"),
    "specificity": ("Specificity", "higher is better"),
    "ppv": ("Predictive value", "of those called, higher is better"),
    "accuracy": ("Accuracy", "higher is better"),
    "brier": ("Brier score", "lower is better"),
    "ece": ("Calibration error", "lower is better"),
    "threshold": ("Threshold", "chosen on validation"),
    "n": ("Examples", ""),
    "n_train": ("Examples that taught", ""),
    "n_choose": ("Examples that chose", "epoch, calibration and thresholds"),
    "n_excluded": ("Left out, no label", ""),
    "n_censored": ("Declined without confirmation", "unknown, not legitimate"),
    "censored_share": ("Censored share", "declined without confirmation, of all"),
    "censored_value_share": ("Censored share of the money", ""),
    "n_passed_through": ("Let through by a draw", "each weighed by how likely that was"),
}
ACRONYMS = {"gru", "auc", "ap", "ece"}
HEADLINES = ("ap", "cp100", "value_recall_at_100", "auc", "sensitivity", "specificity")
APART = ("test", "validation", "inference")  # these have tables of their own
TABLES = {
    "findings": "Per finding",
    "cross_validation": "Cross-validation by patient",
    "ablation": "What each part is worth alone, on test",
    "subgroups": "Per subgroup",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """`value` is a number or None (not defined); `low` and `high` its 95 % interval where there is one."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def span(self) -> float | None:
        """The interval's width where both ends lie in 0..1 and can be drawn there."""
        if self.low is None or self.high is None or not 0 <= self.low <= self.high <= 1:
            return None
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    hint: str
    cells: list[tuple[str, Cell | None]]  # each with its column's name


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: list[str]
    rows: list[Row]


def title_of(name: str) -> str:
    """A known measure's title, else the name as words: "gru_alone" becomes "GRU alone"."""
    if name in KNOWN:
        return KNOWN[name][0]
    words = [word.upper() if word in ACRONYMS else word for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def main_table(version: ModelVersion, champion: ModelVersion | None) -> Table:
    """Validation beside test. The champion stands beside them only if its test was the same."""
    parts = {
        "Validation": version.metrics.get("validation", {}),
        "Test": version.metrics.get("test", {}),
    }
    if champion and champion.pk != version.pk and champion.tested_on == version.tested_on is not None:
        parts[f"Champion v{champion.number}, test"] = champion.metrics.get("test", {})
    return main_measures("Measures", parts)


def main_measures(title: str, parts: Mapping[str, Mapping[str, Any]]) -> Table:
    """The single numbers of several parts beside each other, the columns named as they are."""
    names = _ordered({name: None for part in parts.values() for name in part if _is_number(part[name])})
    rows = [
        Row(
            title_of(name),
            KNOWN.get(name, ("", ""))[1],
            [(c, _cell(part, name)) for c, part in parts.items()],
        )
        for name in names
    ]
    return Table(title, list(parts), rows)


def headlines(metrics: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """The few measures on test that say most."""
    found = ((title_of(name), _cell(metrics.get("test", {}), name)) for name in HEADLINES)
    return [(title, cell) for title, cell in found if cell is not None and cell.value is not None]


def measured(version: ModelVersion, name: str) -> Cell | None:
    return _cell(version.metrics.get("test", {}), name)


def breakdowns(metrics: Mapping[str, Any]) -> list[Table]:
    """Every table of measures inside the metrics: per finding, per subgroup, by ablation."""
    places = [("", metrics), *((f", {n}", metrics[n]) for n in ("test", "validation") if n in metrics)]
    return [
        _breakdown(TABLES.get(name, title_of(name)) + where, part[name], named=name == "findings")
        for where, part in places
        for name in part
        if name not in (*APART, "intervals") and _is_table(part[name])
    ]


def _breakdown(title: str, parts: Mapping[str, Mapping[str, Any]], *, named: bool) -> Table:
    names = _ordered({n: None for part in parts.values() for n in part if _is_number(part[n])})
    rows = [
        Row(label if named else title_of(label), "", [(title_of(n), _cell(part, n)) for n in names])
        for label, part in parts.items()
    ]
    return Table(title, [title_of(n) for n in names], rows)


def _cell(part: Mapping[str, Any], name: str) -> Cell | None:
    if name not in part:
        return None
    low, high = part.get("intervals", {}).get(name) or (None, None)
    return Cell(part[name], low, high)


def _ordered(names: Mapping[str, None]) -> list[str]:
    known = list(KNOWN)
    return sorted(names, key=lambda n: known.index(n) if n in known else len(known))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, Mapping) for v in value.values())
