"""A patient's age and sex as DICOM and tables write them, and the bands in which measures are given."""

from __future__ import annotations

import re

AGE = re.compile(r"0*(\d{1,3}(?:\.\d+)?)([YMWD]?)", re.IGNORECASE)
YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
OLDEST = 150
AGE_BANDS = ((0, 2), (2, 12), (12, 18), (18, 40), (40, 65), (65, OLDEST))
SEXES = {"M": "male", "MALE": "male", "F": "female", "FEMALE": "female"}


def age_years(text: str) -> float | None:
    """58, 058Y or 006M as years; None for what is no age."""
    found = AGE.fullmatch(text.strip())
    if not found:
        return None
    years = float(found[1]) * YEARS[found[2].upper()]
    return years if years < OLDEST else None


def band_name(low: int, high: int) -> str:
    """Of ages from `low` up to but not `high`, in years."""
    return f"{low} to {high - 1}" if high < OLDEST else f"{low} and over"


def band_of(years: float | None) -> str:
    """The name of the band an age lies in; empty for none."""
    if years is None:
        return ""
    return next((band_name(low, high) for low, high in AGE_BANDS if years < high), "")
