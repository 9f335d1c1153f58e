"""Whom a measure is about: sex, age band and view, from a table's own columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.radiology.ages import AGE_BANDS, SEXES, age_years, band_name

Bools = npt.NDArray[np.bool_]
MIN_FILMS = 20


def ages_of(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Years, (n,), NaN where the table does not say."""
    said = _column(table, "age")
    return np.array([age_years(text) if age_years(text) is not None else np.nan for text in said], np.float64)


def subgroups_of(table: pd.DataFrame) -> dict[str, Bools]:
    """Which films belong to each subgroup that has at least MIN_FILMS; a film may be in several."""
    ages, found = ages_of(table), dict[str, Bools]()
    for sex in ("male", "female"):
        found[f"sex {sex}"] = np.array([SEXES.get(one.upper()) == sex for one in _column(table, "sex")], bool)
    for low, high in AGE_BANDS:
        found[f"age {band_name(low, high)}"] = (ages >= low) & (ages < high)
    views = np.array([one.upper() for one in _column(table, "view")], object)
    for view in sorted({one for one in views if one})[:8]:
        found[f"view {view}"] = views == view
    return {name: rows for name, rows in found.items() if rows.sum() >= MIN_FILMS}


def validated_on(table: pd.DataFrame) -> Mapping[str, list[float] | None]:
    """The ages, in years, between which the model saw films: [lowest, highest], None where nobody said."""
    ages = ages_of(table)
    known = ages[~np.isnan(ages)]
    return {"age_years": [float(known.min()), float(known.max())] if len(known) else None}


def _column(table: pd.DataFrame, name: str) -> list[str]:
    """As text; blanks where the table has no such column, whatever the case of its name's letters."""
    for column in table.columns:
        if column.lower() == f"meta:{name}":
            return [str(value).strip() for value in table[column]]
    return [""] * len(table)
