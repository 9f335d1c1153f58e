"""Labelled transactions from a file as serving would have seen them: decided types, one currency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.fraud.iso import CURRENCIES
from apps.fraud.models import EventType
from apps.fraud.money import REPORTING_CURRENCY, to_reporting_minor
from apps.fraud.services.ingest import DECIDED_TYPES
from apps.fraud.services.rates import business_day, rates_of

if TYPE_CHECKING:
    import pandas as pd


def read_history(file: Path, mapping: Mapping[str, Any]) -> pd.DataFrame:
    """Canonical rows in time order; amounts in the reporting currency at the rate of their day.

    What takes a payment back is left out, as the engine does not score it. Raises ValueError for a row that
    does not fit.
    """
    from ml.fraud.importing import read_canonical

    frame = read_canonical(file, mapping)
    if unknown := set(frame["type"]) - set(EventType.values):
        raise ValueError(f"Unknown types: {_some(unknown)}. Known are {', '.join(EventType.values)}.")
    if unknown := set(frame["currency"]) - set(CURRENCIES):
        raise ValueError(f"Unknown currencies: {_some(unknown)}.")
    return _in_reporting_currency(frame[frame["type"].isin(DECIDED_TYPES)].reset_index(drop=True))


def _in_reporting_currency(frame: pd.DataFrame) -> pd.DataFrame:
    foreign = (frame["currency"] != REPORTING_CURRENCY).to_numpy()
    part = frame[foreign]
    keys = list(zip(part["currency"], part["occurred_at"].map(business_day), strict=True))
    rates = rates_of(keys)
    amounts = [
        to_reporting_minor(int(amount), key[0], rates[key])
        for amount, key in zip(part["amount_minor"], keys, strict=True)
    ]
    if amounts:
        frame.loc[foreign, "amount_minor"] = amounts
    return frame


def describe(frame: pd.DataFrame, mapping: Mapping[str, Any]) -> Iterator[str]:
    """What a dataset of these rows would hold and lack, a line each."""
    from ml.fraud.importing import NEUTRAL, split_by_time

    at, fraud = frame["occurred_at"], frame["fraud"]
    yield f"{len(frame):,} payments from {at.iloc[0]:%Y-%m-%d %H:%M} to {at.iloc[-1]:%Y-%m-%d %H:%M} UTC"
    yield f"{frame['card_token'].nunique():,} cards, {frame['terminal_id'].nunique():,} terminals"
    yield (
        f"{int((fraud == 1).sum()):,} fraud, {int((fraud == 0).sum()):,} legitimate, "
        f"{int(fraud.isna().sum()):,} without a label"
    )
    yield from _censored(frame)
    foreign = frame["currency"][frame["currency"] != REPORTING_CURRENCY]
    if len(foreign):
        yield f"{len(foreign):,} converted to {REPORTING_CURRENCY} from {_some(set(foreign))}"
    missing = [name for name in NEUTRAL if name not in mapping]
    if missing:
        yield f"not in the mapping, so neutral: {', '.join(missing)}"
    blank = [name for name in mapping if name in frame and _blank(frame[name])]
    if blank:
        yield f"empty in every row: {', '.join(blank)}"
    for split, rows in frame.groupby(split_by_time(at), sort=False):
        yield f"{split}: {len(rows):,} payments, {int((rows['fraud'] == 1).sum()):,} fraud"


def _censored(frame: pd.DataFrame) -> Iterator[str]:
    from ml.fraud.censoring import shares_of

    told = shares_of(frame)
    if told["n_censored"] is None:
        yield "nobody says what was decided: declined payments that were never confirmed cannot be told"
    else:
        yield (
            f"{told['n_censored']:,} declined without confirmation, {told['censored_share']:.1%} of all: "
            f"unknown; {told['n_passed_through']:,} let through by a draw"
        )


def _blank(column: pd.Series) -> bool:
    return bool((column.isna() | (column.astype(str) == "")).all())


def _some(names: set[Any], most: int = 10) -> str:
    listed = sorted(str(name) for name in names)
    return ", ".join(listed[:most]) + (" and others" if len(listed) > most else "")
