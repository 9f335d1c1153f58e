"""A patient's age as DICOM and tables write it."""

from __future__ import annotations

import re

AGE = re.compile(r"0*(\d{1,3}(?:\.\d+)?)([YMWD]?)", re.IGNORECASE)
YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
OLDEST = 150


def age_years(text: str) -> float | None:
    """58, 058Y or 006M as years; None for what is no age."""
    found = AGE.fullmatch(text.strip())
    if not found:
        return None
    years = float(found[1]) * YEARS[found[2].upper()]
    return years if years < OLDEST else None
