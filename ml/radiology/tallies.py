"""What a frozen table of films holds, in numbers for its manifest."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ml.radiology.likeness import near_pairs


def tally_parts(table: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Films, patients and films with each finding, by part."""
    found: dict[str, dict[str, int]] = {}
    for part, rows in table.groupby("split", sort=True):
        positives = {name: int((rows[f"finding:{name}"] == 1).sum()) for name in names}
        found[str(part)] = {"films": len(rows), "patients": int(rows["patient_id"].nunique()), **positives}
    return found


def tally_likeness(table: pd.DataFrame) -> dict[str, int]:
    """Pairs of films that look the same though their pixels differ, and those that lie in two parts."""
    pairs = near_pairs([bytes.fromhex(one) for one in table["perceptual_hash"]])
    pixels, parts = table["pixel_sha256"].to_numpy(), table["split"].to_numpy()
    pairs = pairs[pixels[pairs[:, 0]] != pixels[pairs[:, 1]]]
    across = parts[pairs[:, 0]] != parts[pairs[:, 1]]
    return {"pairs": len(pairs), "across two parts": int(across.sum())}
