"""Examples of the test domain: small pictures that the database may know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.modelops.models import DatasetSnapshot
from apps.modelops.versions.cases import Described, Link
from ml.radiology.png import grey_png

KNOWN = {"key": Link("/the/page/", "testers")}
ROWS = 300


def described(dataset: DatasetSnapshot, rows: Sequence[int]) -> list[Described]:
    return [Described("Payment of the test", (("Row", str(row)),), "key", has_picture=True) for row in rows]


def links(dataset: DatasetSnapshot, keys: Sequence[str]) -> dict[str, Link]:
    return {key: KNOWN[key] for key in keys if key in KNOWN}


def picture(dataset: DatasetSnapshot, row: int) -> bytes | None:
    grey = np.linspace(0, 255, 128 * 100).reshape(128, 100).astype(np.uint8)
    return grey_png(grey) if row < ROWS else None


def measure_speed(folder: Path, expected_hash: str) -> dict[str, float]:
    return {"ms_1": 1.5, "ms_16": 3.0}
