"""The Fraud Detection Handbook's prequential protocol: which rows teach, which are tested."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.metrics import average_precision, bootstrap_intervals, roc_auc
from ml.fraud.evaluate import card_precision
from ml.fraud.importing import handbook_mapping, read_canonical

FILE = Path("fraud/handbook_to_2018-09-04.parquet")
FIRST_DAY = pd.Timestamp("2018-04-01")
STARTS = ("2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15")
EARLIER_STARTS = ("2018-06-27", "2018-07-04", "2018-07-11", "2018-07-18")  # where parameters were chosen
TRAIN_DAYS, DELAY_DAYS, TEST_DAYS = 7, 7, 7
BOOK_FEATURES = (
    "TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT", "CUSTOMER_ID_NB_TX_1DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW", "CUSTOMER_ID_NB_TX_7DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW", "CUSTOMER_ID_NB_TX_30DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW", "TERMINAL_ID_NB_TX_1DAY_WINDOW",
    "TERMINAL_ID_RISK_1DAY_WINDOW", "TERMINAL_ID_NB_TX_7DAY_WINDOW", "TERMINAL_ID_RISK_7DAY_WINDOW",
    "TERMINAL_ID_NB_TX_30DAY_WINDOW", "TERMINAL_ID_RISK_30DAY_WINDOW",
)  # fmt: skip
PUBLISHED = (
    ("decision tree", 0.797, 0.579, 0.284),
    ("logistic regression", 0.868, 0.623, 0.297),
    ("random forest", 0.870, 0.678, 0.299),
    ("XGBoost", 0.869, 0.687, 0.303),
    ("neural network", 0.876, 0.675, 0.303),
    ("1-D CNN", 0.872, 0.599, 0.288),
    ("LSTM", 0.876, 0.665, 0.297),
    ("LSTM + attention", 0.874, 0.667, 0.295),
    ("balanced bagging", 0.879, 0.680, 0.305),
    ("XGBoost, parameters chosen on the test", 0.872, 0.694, 0.304),
)
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Handbook:
    """Row-aligned: canonical events, the book's features (n, 15), label, day since the first, card."""

    events: pd.DataFrame
    book: npt.NDArray[np.float64]
    fraud: npt.NDArray[np.int8]
    day: npt.NDArray[np.int32]
    card: npt.NDArray[np.int32]

    def train_rows(self, start: int) -> Mask:
        return (self.day >= start) & (self.day < start + TRAIN_DAYS)

    def test_rows(self, start: int) -> Rows:
        """The test week without the customers whose compromise was known by each of its days."""
        known = set(self.card[self.train_rows(start) & (self.fraud == 1)])
        rows = []
        for day in range(start + TRAIN_DAYS + DELAY_DAYS, start + TRAIN_DAYS + DELAY_DAYS + TEST_DAYS):
            known |= set(self.card[(self.day == day - DELAY_DAYS - 1) & (self.fraud == 1)])
            today = np.flatnonzero(self.day == day)
            rows.append(today[~np.isin(self.card[today], list(known))])
        return np.concatenate(rows)

    def measures(self, rows: Rows, scores: Floats) -> dict[str, float]:
        labels = self.fraud[rows].astype(int)
        return {
            "ap": average_precision(labels, scores) or 0.0,
            "auc": roc_auc(labels, scores) or 0.0,
            "cp100": card_precision(self.events.iloc[rows], scores) or 0.0,
        }

    def ap_interval(self, rows: Rows, scores: Floats, rounds: int) -> tuple[float, float] | None:
        """95 % interval of the average precision over resampled cards."""
        labels = self.fraud[rows].astype(int)
        return bootstrap_intervals(
            lambda drawn: {"ap": average_precision(labels[drawn], scores[drawn])},
            self.card[rows], rounds=rounds, seed=0,
        ).get("ap")  # fmt: skip

    def ap_gains(self, folds: list[Rows], before: list[Floats], after: list[Floats]) -> dict[str, float]:
        """By how much the average precision rises: of each fold by its number, and their mean."""
        gains = {}
        for number, (rows, *scores) in enumerate(zip(folds, before, after, strict=True)):
            old, new = (average_precision(self.fraud[rows].astype(int), of) or 0.0 for of in scores)
            gains[str(number)] = new - old
        return {**gains, "mean": float(np.mean(list(gains.values())))}

    def ap_gain_intervals(
        self, folds: list[Rows], before: list[Floats], after: list[Floats], rounds: int
    ) -> dict[str, list[float]]:
        """95 % intervals of the same, over cards drawn once for all folds and for both scores."""
        fold = np.repeat(np.arange(len(folds)), [len(rows) for rows in folds])
        rows, old, new = np.concatenate(folds), np.concatenate(before), np.concatenate(after)

        def gains(drawn: npt.NDArray[np.integer]) -> dict[str, float]:
            parts = [drawn[fold[drawn] == number] for number in range(len(folds))]
            return self.ap_gains(*([of[part] for part in parts] for of in (rows, old, new)))

        found = bootstrap_intervals(gains, self.card[rows], rounds=rounds, seed=0)
        return {name: [round(end, 4) for end in found[name]] for name in sorted(found)}


def load(folder: Path, shuffled: bool = False) -> Handbook:
    """With `shuffled`, labels are dealt anew among all rows: what then still predicts them is a leak."""
    source = pd.read_parquet(folder / FILE)
    if not source["TX_DATETIME"].is_monotonic_increasing:
        raise ValueError("The transactions are not in time order.")
    events, fraud = read_canonical(folder / FILE, handbook_mapping()), source["TX_FRAUD"].to_numpy()
    if shuffled:
        fraud = np.random.default_rng(0).permutation(fraud)
        events["fraud"] = pd.array(fraud, dtype="Int8")
    return Handbook(
        events=events,
        book=source[list(BOOK_FEATURES)].to_numpy(np.float64),
        fraud=fraud,
        day=source["TX_TIME_DAYS"].to_numpy(),
        card=source["CUSTOMER_ID"].to_numpy(),
    )


def day_of(start: str) -> int:
    return (pd.Timestamp(start) - FIRST_DAY).days


def published_rows() -> list[dict[str, Any]]:
    return [
        {"model": f"published: {name}", "training": "7 days", "ap": ap, "auc": auc, "cp100": cp}
        for name, auc, ap, cp in PUBLISHED
    ]
