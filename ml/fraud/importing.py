"""Bring labelled transactions from a file into the canonical columns and freeze them.

A mapping says where each canonical column comes from: a source column's name, {"column": name, "scale":
number} (an amount in major units takes scale 100), or {"const": value}. Needed: occurred_at, card_token,
amount_minor, terminal_id. The rest falls back to a neutral value. `outcome` is what was decided (approve,
review, decline): a decline called legitimate without a `label_source` that says so is unknown.
`selection_probability` is below 1 where a payment was let through by a draw. "handbook" names the mapping
of the Fraud Detection Handbook's simulated data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.folders import new_folder
from ml.fraud.censoring import shares_of, unconfirmed
from ml.fraud.clock import with_offsets
from ml.fraud.contracts import LONGEST_WINDOW_US, Event
from ml.fraud.splits import LABEL_DELAY, Period, plan, split_by_time
from ml.fraud.tallies import tally_labels, tally_parts

NEEDED = ("occurred_at", "card_token", "amount_minor", "terminal_id")
NEUTRAL: dict[str, Any] = {
    "event_id": None, "type": "authorization", "currency": "EUR", "merchant_id": None, "mcc": "0000",
    "country": "", "entry_mode": "unknown", "channel": "unknown", "device_id": "", "ip": "",
    "latitude": np.nan, "longitude": np.nan, "fraud": None, "label_known_at": None, "scenario": "",
    "original_event_id": "", "received_at": None,
    "outcome": "", "label_source": "", "selection_probability": 1.0,
}  # fmt: skip
COLUMNS = (*NEEDED, *NEUTRAL)
IDS = ("event_id", "card_token", "terminal_id", "original_event_id")
HANDBOOK: dict[str, Any] = {
    "event_id": "TRANSACTION_ID",
    "occurred_at": "TX_DATETIME",
    "card_token": "CUSTOMER_ID",
    "terminal_id": "TERMINAL_ID",
    "merchant_id": {"const": ""},  # it has none: a terminal's windows shall not stand there twice
    "amount_minor": {"column": "TX_AMOUNT", "scale": 100},
    "fraud": "TX_FRAUD",
    "scenario": "TX_FRAUD_SCENARIO",
}
IDENTICAL = ("card_token", "amount_minor", "terminal_id", "occurred_at")
MAX_ROWS = 20_000_000


@dataclass(frozen=True, slots=True)
class FrozenEvents:
    """`n_identical`: payments of the same card, amount, terminal and time as an earlier one; `parts`: what
    each holds; `provenance`: whose the labels are."""

    n: int
    n_fraud: int
    events_sha256: str
    splits: Mapping[str, int]
    n_censored: int | None = None
    n_passed_through: int | None = None
    n_identical: int = 0
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def handbook_mapping() -> dict[str, Any]:
    return dict(HANDBOOK)


def read_mapping(given: str) -> dict[str, Any]:
    """ "handbook", or a JSON file's content. Raises ValueError with a sentence."""
    if given in ("", "handbook"):
        return handbook_mapping() if given else {name: name for name in COLUMNS}
    try:
        mapping = json.loads(Path(given).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"The mapping {given} cannot be read as JSON.") from error
    if not isinstance(mapping, dict):
        raise ValueError("A mapping is a JSON object: canonical column to source column.")
    return mapping


def read_canonical(file: Path, mapping: Mapping[str, Any]) -> pd.DataFrame:
    """The file's rows in canonical columns and time order. Raises ValueError for what does not fit."""
    source = pd.read_csv(file) if file.suffix in (".csv", ".gz") else pd.read_parquet(file)
    return canonical(source, mapping)


def canonical(source: pd.DataFrame, mapping: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of any columns in canonical ones and time order. Raises ValueError for what does not fit."""
    if len(source) > MAX_ROWS:
        raise ValueError(f"More than {MAX_ROWS:,} rows: split the file.")
    if unknown := set(mapping) - set(COLUMNS):
        raise ValueError(f"The mapping names unknown columns: {', '.join(sorted(unknown))}.")
    frame = pd.DataFrame(index=source.index)
    for name in COLUMNS:
        column = _column(source, mapping[name], name) if name in mapping else None
        if column is None and name in NEEDED:
            raise ValueError(f"The mapping must say where {name} comes from.")
        frame[name] = NEUTRAL[name] if column is None else column
    return _typed(frame).sort_values("occurred_at", kind="stable").reset_index(drop=True)


def _column(source: pd.DataFrame, where: Any, name: str) -> Any:
    if isinstance(where, Mapping) and "const" in where:
        return where["const"]
    column, scale = (where["column"], where.get("scale", 1)) if isinstance(where, Mapping) else (where, 1)
    if column not in source.columns:
        if name in NEEDED:
            raise ValueError(f"The file has no column {column!r} for {name}.")
        return None
    return source[column] if scale == 1 else source[column] * scale


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"], utc=True).dt.as_unit("us")
    frame["amount_minor"] = np.round(pd.to_numeric(frame["amount_minor"])).astype(np.int64)
    if frame["occurred_at"].isna().any() or (frame["amount_minor"] < 0).any():
        raise ValueError("A row has no time, or a negative amount.")
    for name in ("card_token", "terminal_id"):
        if lacking := int(frame[name].isna().sum() + (frame[name] == "").sum()):
            raise ValueError(f"{lacking:,} rows have no {name}: all of them would be taken for one.")
    frame["event_id"] = frame["event_id"].fillna(pd.Series(frame.index.astype(str), index=frame.index))
    frame["merchant_id"] = frame["merchant_id"].fillna(frame["terminal_id"])
    frame["fraud"] = pd.to_numeric(frame["fraud"]).astype("Int8")
    known = pd.to_datetime(frame["label_known_at"], utc=True)
    frame["label_known_at"] = known.fillna(frame["occurred_at"] + LABEL_DELAY).dt.as_unit("us")
    frame["received_at"] = pd.to_datetime(frame["received_at"], utc=True).dt.as_unit("us")
    if pd.api.types.is_float_dtype(frame["original_event_id"]):  # whole numbers, with gaps
        frame["original_event_id"] = frame["original_event_id"].map("{:.0f}".format, na_action="ignore")
    for name in ("latitude", "longitude"):
        frame[name] = pd.to_numeric(frame[name]).astype(np.float64)
    frame["selection_probability"] = _probabilities(frame["selection_probability"])
    text = [n for n in COLUMNS if frame[n].dtype == object or n in IDS]
    for name in {*text, "merchant_id", "scenario"} - {"fraud", "label_known_at", "received_at"}:
        frame[name] = frame[name].fillna("").astype(str)
    if unknown := set(frame["outcome"]) - {"", "approve", "review", "decline"}:
        raise ValueError(f"Unknown outcomes: {', '.join(sorted(unknown)[:5])}.")
    frame.loc[unconfirmed(frame), "fraud"] = pd.NA
    return frame


def _probabilities(given: pd.Series) -> pd.Series:
    values = pd.to_numeric(given).astype(np.float64).fillna(1.0)
    if not ((values > 0) & (values <= 1)).all():
        raise ValueError("A selection_probability lies above 0 and up to 1.")
    return values


def freeze_frame(
    frame: pd.DataFrame, out_dir: Path, name: str, time_zone: str = "UTC", held: Sequence[Period] = (),
    provenance: Mapping[str, Any] | None = None, until: pd.Timestamp | None = None,
) -> FrozenEvents:  # fmt: skip
    """Write the immutable dataset folder, whole or not at all; its splits are assigned here, once.

    `time_zone`: of the business clock, by which days are told. `held`: test and gate of earlier datasets of
    these payments. `until`: what came later waits for its labels.
    """
    periods = plan(frame["occurred_at"], held, until)
    split = split_by_time(frame["occurred_at"], periods, held)
    frame = with_offsets(frame, time_zone).assign(split=split)
    with new_folder(out_dir) as folder:
        frame.to_parquet(folder / "events.parquet", index=False)
        with (folder / "events.parquet").open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        splits = {str(k): int(v) for k, v in frame["split"].value_counts().items()}
        shares = shares_of(frame)
        frozen = FrozenEvents(
            len(frame), int(frame["fraud"].sum()), sha256, splits,
            shares["n_censored"], shares["n_passed_through"], int(frame.duplicated(list(IDENTICAL)).sum()),
            tally_parts(frame), {**tally_labels(frame), **(provenance or {})},
        )  # fmt: skip
        manifest = {
            "domain": "fraud", "name": name, "time_zone": time_zone,
            "periods": [asdict(one) for one in periods], **asdict(frozen),
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest, sort_keys=True, indent=1))
    return frozen


def periods_of(folder: Path) -> list[Period]:
    """train, val, test and gate of a frozen dataset."""
    return [Period(**one) for one in json.loads((folder / "manifest.json").read_text())["periods"]]


def cases_of(folder: Path) -> pd.DataFrame:
    """For a comparison of two datasets: a row a payment with `case`, `part` and Fraud, 1, 0 or NaN."""
    frame = pd.read_parquet(folder / "events.parquet", columns=["event_id", "split", "fraud"])
    frame["fraud"] = frame["fraud"].astype(np.float32)
    return frame.drop_duplicates("event_id").set_axis(["case", "part", "Fraud"], axis=1)


def load_frozen(folder: Path) -> tuple[pd.DataFrame, str]:
    """The frozen events, after their hash was checked, and the time zone of their business clock.

    Raises ValueError if they changed.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    with (folder / "events.parquet").open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != manifest["events_sha256"]:
            raise ValueError("The dataset's events are not what was frozen: import them again.")
    return pd.read_parquet(folder / "events.parquet"), manifest.get("time_zone", "UTC")


def utc_offsets_us(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """(n,) how far the business clock was ahead of UTC at each row's time; 0 where no zone was given."""
    if "utc_offset_s" not in frame:
        return np.zeros(len(frame), np.int64)
    return frame["utc_offset_s"].to_numpy(np.int64) * 1_000_000


def events_of(frame: pd.DataFrame) -> list[Event]:
    """Rows of canonical columns as the engine's events."""
    at_us = frame["occurred_at"].astype("int64").to_numpy()
    text = ("type", "card_token", "currency", "merchant_id", "terminal_id", "mcc", "country", "entry_mode",
            "channel", "device_id", "ip")  # fmt: skip
    columns = {name: frame[name].to_numpy() for name in (*text, "event_id", "amount_minor")}
    places, received_at_us = frame[["latitude", "longitude"]].to_numpy(), received_us(frame)
    offsets_us = utc_offsets_us(frame)
    return [
        Event(
            event_id=str(columns["event_id"][i]),
            occurred_at_us=int(at_us[i]),
            amount_minor=int(columns["amount_minor"][i]),
            latitude=None if np.isnan(places[i, 0]) else float(places[i, 0]),
            longitude=None if np.isnan(places[i, 1]) else float(places[i, 1]),
            received_at_us=int(received_at_us[i]),
            utc_offset_us=int(offsets_us[i]),
            **{name: str(columns[name][i]) for name in text},
        )
        for i in range(len(frame))
    ]


def received_us(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """(n,) when each row came, epoch µs; 0 where that is not known, as in datasets of before it was asked."""
    if "received_at" not in frame:
        return np.zeros(len(frame), np.int64)
    known = frame["received_at"].fillna(pd.Timestamp(0, tz="UTC"))
    return np.asarray(known.astype("int64"), np.int64)


def too_old(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(n,) which rows lay beyond the longest window when they came."""
    return frame["occurred_at"].astype("int64").to_numpy() < received_us(frame) - LONGEST_WINDOW_US
