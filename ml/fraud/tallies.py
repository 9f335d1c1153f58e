"""What a frozen table of payments holds, in numbers for its manifest."""

from __future__ import annotations

from typing import Any

import pandas as pd


def tally_parts(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Payments, frauds, what is unknown, and from when to when, by part in time order."""
    found: dict[str, dict[str, Any]] = {}
    for part, rows in frame.groupby("split", sort=False):
        at = rows["occurred_at"]
        found[str(part)] = {
            "payments": len(rows),
            "fraud": int((rows["fraud"] == 1).sum()),
            "unknown": int(rows["fraud"].isna().sum()),
            "from": f"{at.min():%Y-%m-%d}",
            "to": f"{at.max():%Y-%m-%d}",
        }
    return found


def tally_labels(frame: pd.DataFrame) -> dict[str, Any]:
    """How many payments are labelled by whom, and when the first and the last of that was known."""
    labelled = frame[frame["fraud"].notna()]
    sources = labelled["label_source"] if "label_source" in labelled else pd.Series("", labelled.index)
    counts = sources.value_counts()
    found: dict[str, Any] = {str(source) or "no source named": int(n) for source, n in counts.items()}
    if len(labelled):
        known = labelled["label_known_at"]
        found |= {"known from": f"{known.min():%Y-%m-%d}", "known to": f"{known.max():%Y-%m-%d}"}
    return found
