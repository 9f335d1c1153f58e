"""What one dataset holds that another does not: cases, parts and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.core.errors import LynceusError
from apps.modelops.datasets.services.datasets import check_unchanged
from apps.modelops.datasets.summaries import part_order
from apps.modelops.models import DatasetSnapshot
from apps.modelops.registry import domain_named, load

if TYPE_CHECKING:
    import pandas as pd

CASES_MAX = 2_000_000  # of both together: more would hold a page for long
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """`parts`: (part, before, after); `labels`: (label, positive share before and after, how many cases of
    both are labelled otherwise); `changed`: a few of those, (case, label, before, after); `moved`: (part
    before, part after, n) of cases in both."""

    added: int
    gone: int
    kept: int
    parts: Sequence[tuple[str, int, int]]
    labels: Sequence[tuple[str, float | None, float | None, int]]
    changed: Sequence[tuple[str, str, str, str]]
    moved: Sequence[tuple[str, str, int]]


def difference_of(before: DatasetSnapshot, after: DatasetSnapshot) -> Difference:
    """Raises LynceusError for one that changed, or that both together are too large for."""
    if sum(int(one.summary.get("n") or 0) for one in (before, after)) > CASES_MAX:
        raise LynceusError("too_large", f"More than {CASES_MAX:,} cases: too many for a page.", status=409)
    read = load(domain_named(after.domain).cases)
    frames = [read(check_unchanged(one)).set_index("case") for one in (before, after)]
    return compare(*frames)


def compare(before: pd.DataFrame, after: pd.DataFrame) -> Difference:
    """Frames by case with `part` and a column a label, 1, 0 or NaN."""
    both = before.index.intersection(after.index)
    sizes = [frame["part"].value_counts().to_dict() for frame in (before, after)]
    labels = sorted({*before.columns, *after.columns} - {"part"})
    then, now = (
        frame.reindex(columns=labels).loc[both].astype("float32").fillna(-1) for frame in (before, after)
    )
    other = then != now
    moved = before.loc[both, "part"].to_frame("then").assign(now=after.loc[both, "part"])
    moved = moved[moved["then"] != moved["now"]].value_counts()
    return Difference(
        added=len(after.index.difference(both)),
        gone=len(before.index.difference(both)),
        kept=len(both),
        parts=[
            (part, int(sizes[0].get(part, 0)), int(sizes[1].get(part, 0)))
            for part in sorted({str(one) for size in sizes for one in size}, key=part_order)
        ],
        labels=[
            (one, _positive(before, one), _positive(after, one), int(other[one].sum())) for one in labels
        ],
        changed=_examples(then, now, other, labels),
        moved=[(str(pair[0]), str(pair[1]), int(n)) for pair, n in moved.items()],
    )


def _positive(frame: pd.DataFrame, label: str) -> float | None:
    """Of what is known; None where nothing is."""
    if label not in frame or frame[label].isna().all():
        return None
    return float((frame[label].dropna() == 1).mean())


def _examples(
    then: pd.DataFrame, now: pd.DataFrame, other: pd.DataFrame, labels: Sequence[str]
) -> list[tuple[str, str, str, str]]:
    words: dict[Any, str] = {1.0: "present", 0.0: "absent", -1.0: "unknown"}
    found = []
    for label in labels:
        for case in other.index[other[label]][:EXAMPLES]:
            found.append((str(case), label, words[then.at[case, label]], words[now.at[case, label]]))
    return found[:EXAMPLES]
