"""Labelled transactions from a file as serving would have seen them: decided types, one currency."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.core.words import counted
from apps.fraud.common.iso import CURRENCIES
from apps.fraud.common.money import REPORTING_CURRENCY, to_reporting_minor
from apps.fraud.common.services.rates import business_day, rates_of
from apps.fraud.models import DECIDED_TYPES, EventType

if TYPE_CHECKING:
    import pandas as pd

    from ml.fraud.splits import Period


def read_history(files: Sequence[Path], mapping: Mapping[str, Any]) -> list[pd.DataFrame]:
    """Each file's payments in canonical columns and time order; amounts in the reporting currency at the rate
    of their day.

    What takes a payment back is no row, as the engine does not score it, but stands with its payment, in
    whichever file that is (`taken_back`). Raises ValueError for a row that does not fit.
    """
    import pandas as pd

    from ml.fraud.importing import read_canonical

    frames = [_checked(read_canonical(file, mapping)) for file in files]
    decided = [frame["type"].isin(DECIDED_TYPES) for frame in frames]
    payments = [
        _in_reporting_currency(frame[mine].drop(columns="original_event_id").reset_index(drop=True))
        for frame, mine in zip(frames, decided, strict=True)
    ]
    back = pd.concat([frame[~mine] for frame, mine in zip(frames, decided, strict=True)], ignore_index=True)
    _take_back(payments, back[back["original_event_id"] != ""].drop_duplicates(["card_token", "event_id"]))
    return payments


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    if unknown := set(frame["type"]) - set(EventType.values):
        raise ValueError(f"Unknown types: {_some(unknown)}. Known are {', '.join(EventType.values)}.")
    if unknown := set(frame["currency"]) - set(CURRENCIES):
        raise ValueError(f"Unknown currencies: {_some(unknown)}.")
    return frame


def _take_back(payments: Sequence[pd.DataFrame], back: pd.DataFrame) -> None:
    """Write to each payment when how much of it was taken back: together never more than it was."""
    wanted = set(back["original_event_id"])
    found: dict[tuple[str, str], tuple[pd.DataFrame, Any]] = {}
    for frame in payments:
        frame["taken_back"] = ""
        for row in frame.index[frame["event_id"].isin(wanted)]:
            key = str(frame.at[row, "card_token"]), str(frame.at[row, "event_id"])
            found.setdefault(key, (frame, row))
    back = back.assign(
        came_us=back["received_at"].fillna(back["occurred_at"]).dt.as_unit("us").astype("int64")
    )
    taken: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    one: dict[Any, Any]
    for one in back.sort_values("came_us", kind="stable").to_dict("records"):
        key = one["card_token"], one["original_event_id"]
        if key in found:
            frame, row = found[key]
            paid: Any = frame.loc[row]
            left = int(paid["amount_minor"]) - sum(minor for _, minor in taken[key])
            worth = _worth(one["amount_minor"], one["currency"], paid["occurred_at"])
            taken[key].append((one["came_us"], min(worth, left)))
    for key, told in taken.items():
        frame, row = found[key]
        frame.at[row, "taken_back"] = json.dumps(told)


def _worth(amount_minor: int, currency: str, paid_at: datetime) -> int:
    """In the reporting currency at the rate of the payment's day, as in service."""
    wanted = currency, business_day(paid_at)
    return to_reporting_minor(amount_minor, currency, rates_of([wanted])[wanted])


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


def describe(frame: pd.DataFrame, mapping: Mapping[str, Any], held: Sequence[Period] = ()) -> Iterator[str]:
    """What a dataset of these rows would hold and lack, a line each."""
    from ml.fraud.importing import NEUTRAL
    from ml.fraud.splits import split_by_time

    at, fraud = frame["occurred_at"], frame["fraud"]
    payments, first, last = counted(len(frame), "payment"), at.iloc[0], at.iloc[-1]
    yield f"{payments} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    cards, terminals = frame["card_token"].nunique(), frame["terminal_id"].nunique()
    yield f"{counted(cards, 'card')}, {counted(terminals, 'terminal')}"
    yield (
        f"{int((fraud == 1).sum()):,} fraud, {int((fraud == 0).sum()):,} legitimate, "
        f"{int(fraud.isna().sum()):,} without a label"
    )
    if taken := int((frame["taken_back"] != "").sum()):
        yield f"{taken:,} of the payments taken back, wholly or in part"
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
    for split, rows in frame.groupby(split_by_time(at, held=held), sort=False):
        yield f"{split}: {counted(len(rows), 'payment')}, {int((rows['fraud'] == 1).sum()):,} fraud"


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
