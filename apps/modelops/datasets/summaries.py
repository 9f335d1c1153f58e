"""A dataset's summary, as the domain's importer wrote it, sorted into what a page can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.words import counted
from ml.common.gate import LOCKED


@dataclass(frozen=True, slots=True)
class Summary:
    """`splits` are counts with their share of all; `counts` and `texts` are (title, value);
    `tables` are (title, [(name, number), ...]) for maps such as positives per finding."""

    splits: list[dict[str, Any]]
    counts: list[tuple[str, float]]
    texts: list[tuple[str, str]]
    tables: list[tuple[str, list[tuple[str, Any]]]]

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Summary:
        rest = {name: value for name, value in summary.items() if name != "splits"}
        numbers = {n: v for n, v in rest.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        maps = {n: v for n, v in rest.items() if isinstance(v, Mapping) and v}
        texts = {n: _text(v) for n, v in rest.items() if isinstance(v, str | list | tuple) and v}
        return cls(
            splits=_splits(summary.get("splits") or {}),
            counts=[(_title(name), value) for name, value in numbers.items()],
            texts=[(_title(name), value) for name, value in texts.items()],
            tables=[
                (_title(name), [(key, _value(one)) for key, one in value.items()])
                for name, value in maps.items()
            ],
        )

    @property
    def has_locked_part(self) -> bool:
        return any(split["name"] == LOCKED for split in self.splits)


ORDER = ("train", "gap", "val", "test", LOCKED, "held", "waiting", "excluded")
MEANING = {
    "gap": "between two parts, for labels to become known",
    LOCKED: "locked: no trainer reads it, promotions are judged on it",
    "held": "left out: it tested or gated in an earlier dataset",
    "waiting": "left out: too new, until there is enough for a test of its own",
    "excluded": "left out: its own split puts one patient, or one picture, in two parts",
}


def part_order(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _splits(splits: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts = {name: n for name, n in splits.items() if isinstance(n, int)}
    whole = sum(counts.values()) or 1
    return [
        {"name": name, "n": counts[name], "share": counts[name] / whole, "meaning": MEANING.get(name, "")}
        for name in sorted(counts, key=part_order)
    ]


def _title(name: str) -> str:
    if name == "n":
        return "Examples"
    words = name.removeprefix("n_").replace("_", " ")
    return (words[:1].upper() + words[1:]).replace("sha256", "SHA-256")


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return value


def _text(value: str | Sequence[Any]) -> str:
    return value if isinstance(value, str) else ", ".join(str(one) for one in value)


def name_of(dataset: Any) -> str:
    """A dataset in a list to choose from, with how many examples it has."""
    n = dataset.summary.get("n")
    return f"{dataset.name} ({counted(n, 'example')})" if isinstance(n, int) else dataset.name
