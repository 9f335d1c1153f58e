"""The Fraud Detection Handbook's table beside ours, under its own prequential protocol.

    python -m benchmarks.fraud_handbook [DATA] [--folds earlier] [--shuffled] [--cache FILE.npy]

DATA holds fraud/handbook_to_2018-09-04.parquet (default LYNCEUS_DATA, then ../shared/data). Our features come
out of the reducer that serves, in one replay over all events with every label let in when it was known, seven
days after its payment. Each fold's model is made anew as `manage.py train fraud` makes one: trees, then the
network on margins of trees that never saw the card. `--folds earlier` runs the weeks before, on which
parameters were chosen.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xgboost

from benchmarks.handbook_bound import posterior
from benchmarks.handbook_protocol import (
    EARLIER_STARTS,
    STARTS,
    TRAIN_DAYS,
    Floats,
    Handbook,
    Mask,
    Rows,
    day_of,
    load,
    published_rows,
)
from benchmarks.report import report
from ml.fraud.booster import grow, margins_of, margins_unseen
from ml.fraud.config import TrainConfig
from ml.fraud.contracts import Vector
from ml.fraud.features import CARD_SEQUENCE, FEATURE_NAMES, SEQUENCE
from ml.fraud.replay import events_in, labels_in, replay
from ml.fraud.rnn import Gru
from ml.fraud.sequence import train_gru

Matrix = npt.NDArray[np.float32]
SEED, BOOTSTRAP, PAIRED = 0, 200, 500
TRAININGS = ("7 days", "all before the delay")
WARM_DAY = 40  # the first weeks, whose states are still cold, teach nothing
TEST_END = 21  # days from a fold's start
MEMORY_DAYS = 21  # of history that the network reads before the week that teaches, or the test
NET_7DAY = TrainConfig(hidden=16, head=8, epochs=9, share=0.5, members=2)
NET_FULL = TrainConfig(members=2, share=1.0)
TREES_7DAY = {"max_depth": 4, "eta": 0.05, "min_child_weight": 1.5, "subsample": 0.8,
              "colsample_bytree": 0.4, "tree_method": "exact", "rounds": 200}  # fmt: skip
TREES_FULL = {"max_depth": 7, "eta": 0.04, "min_child_weight": 2.0, "subsample": 0.7,
              "colsample_bytree": 0.4, "tree_method": "hist", "max_bin": 8192, "rounds": 220}  # fmt: skip
EASY_SHARE = 0.05  # of payments without any sign; their weight makes up for the others
BLOCKED_DAYS = 21


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=None)
    parser.add_argument("--folds", choices=("test", "earlier"), default="test")
    parser.add_argument("--shuffled", action="store_true", help="on labels dealt anew: a check against leaks")
    parser.add_argument("--cache", type=Path, help="keep the replayed features here between runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    book = load(given.data or Path(os.environ.get("LYNCEUS_DATA", "../shared/data")), given.shuffled)
    features, replay_per_s = _features(book, given.cache)
    starts = [day_of(start) for start in (STARTS if given.folds == "test" else EARLIER_STARTS)]
    begun = time.process_time()
    scored = _scores(book, features, starts)
    sys.stderr.write(f"{time.process_time() - begun:.0f} CPU s\n")
    table = [_row(book, starts, *named, scores) for named, scores in scored.items()]
    for training in TRAININGS:
        table.append(_gain(book, starts, training, scored["XGBoost", training], scored["stack", training]))
    measures = _measures(table, replay_per_s)
    about = {"seed": SEED, "folds": given.folds, "features": len(FEATURE_NAMES)}
    if given.shuffled:
        prevalence = {"prevalence": float(book.fraud.mean())}
        report("fraud_handbook_shuffled", table, measures | prevalence, **about)
        return
    bound = posterior(book)
    of_folds = [bound[book.test_rows(start)] for start in starts]
    table.append(_row(book, starts, "bound: knows the simulator's rules", "none", of_folds))
    name = "fraud_handbook" if given.folds == "test" else "fraud_handbook_earlier"
    report(name, [*published_rows(), *table], measures, **about)
    reproduced = measures["ap_7day_xgboost_book"]
    if given.folds == "test" and abs(reproduced - 0.687) > 0.005:
        raise SystemExit(f"The book's XGBoost is not reproduced: AP {reproduced:.4f}, published .687.")


def _features(book: Handbook, cache: Path | None) -> tuple[Matrix, float]:
    """Replayed features and events a CPU second of the reducer, over the first 200,000 events."""
    part = book.events.iloc[:200_000]
    events, labels = list(events_in(part)), list(labels_in(part))
    begun = time.process_time()
    replay(events, labels, len(part), lambda event: None)
    rate = len(part) / (time.process_time() - begun)
    if cache and cache.is_file():
        return np.load(cache), rate
    n = len(book.events)
    features = replay(events_in(book.events), labels_in(book.events), n, lambda event: None)
    if cache:
        np.save(cache, features)
    return features, rate


def _scores(book: Handbook, features: Matrix, starts: list[int]) -> dict[tuple[str, str], list[Floats]]:
    """Per model and training time the scores of each fold's test rows."""
    out: dict[tuple[str, str], list[Floats]] = {}
    kept, weights = _kept(book, features)
    usable = ~_blocked(features)
    whole = Lesson(TREES_FULL, NET_FULL, SEQUENCE, WARM_DAY, WARM_DAY, usable & kept, weights)
    for start in starts:
        test, week = book.test_rows(start), book.train_rows(start)

        def add(name: str, training: str, scores: Floats, test: Any = test, start: int = start) -> None:
            out.setdefault((name, training), []).append(scores)
            shown = {key: round(value, 4) for key, value in book.measures(test, scores).items()}
            sys.stderr.write(f"day {start}, {name}, {training}: {shown}\n")

        add("XGBoost, the book's features", "7 days", _book_xgboost(book, week)(book.book[test]))
        short = Lesson(TREES_7DAY, NET_7DAY, CARD_SEQUENCE, start - MEMORY_DAYS, start, usable, None)
        for training, lesson in zip(TRAININGS, (short, whole), strict=True):
            add("rule: amount over 220", training, book.book[test, 0])
            networks = lesson.networks(book, features, start)
            for name, scores in lesson.scores(book, features, start, networks).items():
                add(name, training, scores[test])
    return out


@dataclass(frozen=True, slots=True)
class Lesson:
    """What teaches: payments from the day `first_taught` to the end of a fold's training week.

    The trees learn from the `usable` of them, with `weights`; the network reads on from `first_read`.
    """

    trees: dict[str, Any]
    net: TrainConfig
    seen: Sequence[int]  # by the network, beside the trees' margin
    first_read: int
    first_taught: int
    usable: Mask
    weights: Floats | None

    def networks(self, book: Handbook, features: Matrix, start: int) -> tuple[Gru, Gru]:
        """The one that corrects the trees, and one of all features alone, for comparison."""
        read = (book.day >= self.first_read) & (book.day < start + TRAIN_DAYS)
        learnt = (read & (book.day >= self.first_taught)).astype(np.float32)
        unseen, nothing = np.zeros((2, len(features)), np.float32)
        unseen[read] = margins_unseen(
            features[read], book.card[read], (self.usable & (learnt > 0))[read],
            lambda part: self._grown(book, features, np.flatnonzero(read)[part]), SEED,
        )  # fmt: skip

        def trained(margins: Vector, columns: Sequence[int]) -> Gru:
            with TemporaryDirectory() as folder:
                return train_gru(
                    features, margins, _by_card(book, read), book.fraud.astype(np.float32), learnt, self.net,
                    seed=SEED, device="cpu", checkpoint_dir=Path(folder), resume=False,
                    progress=lambda event: None, columns=columns,
                )  # fmt: skip

        return trained(unseen, self.seen), trained(nothing, range(len(FEATURE_NAMES)))

    def scores(
        self, book: Handbook, features: Matrix, start: int, networks: tuple[Gru, Gru]
    ) -> dict[str, Vector]:
        """Of all rows (n,), made from those of the weeks before the test and of the test."""
        taught = self.usable & (book.day >= self.first_taught) & (book.day < start + TRAIN_DAYS)
        shown = (book.day >= start - MEMORY_DAYS) & (book.day < start + TEST_END)
        margins, added, alone = np.zeros((3, len(features)), np.float32)
        margins[shown] = margins_of(self._grown(book, features, np.flatnonzero(taught)), features[shown])
        cards = _by_card(book, shown)
        for gru, before, out in zip(networks, (margins, np.zeros_like(margins)), (added, alone), strict=True):
            for rows, values in gru.run(features, before, cards):
                out[rows] = values
        return {"XGBoost": margins, "GRU": alone, "stack": margins + added}

    def _grown(self, book: Handbook, features: Matrix, rows: Rows) -> xgboost.Booster:
        weight = None if self.weights is None else self.weights[rows]
        params = {name: value for name, value in self.trees.items() if name != "rounds"}
        data = xgboost.DMatrix(features[rows], book.fraud[rows], weight=weight)
        return grow(data, self.trees["rounds"], params, SEED)


def _book_xgboost(book: Handbook, rows: Mask) -> Any:
    model = xgboost.XGBClassifier(
        tree_method="exact", base_score=0.5, n_estimators=50, max_depth=3, learning_rate=0.3, n_jobs=2
    )
    model.fit(book.book[rows], book.fraud[rows])
    return lambda values: model.predict_proba(values)[:, 1]


def _blocked(features: Matrix) -> Mask:
    """A card with a known fraud: the test holds none, as its issuer would have blocked it."""
    return features[:, FEATURE_NAMES.index("card_since_bad_days")] <= BLOCKED_DAYS


def _kept(book: Handbook, features: Matrix) -> tuple[Mask, Floats]:
    """All rows with any sign of fraud and a share of the others, with weights that make up for it."""
    value = {name: features[:, i] for i, name in enumerate(FEATURE_NAMES)}
    hard = (book.fraud == 1) | (value["amount_over_usual"] > 0.6) | (value["amount_log"] > 5.0)
    hard |= (value["terminal_bad_30d"] > 0) | (value["card_surprise"] > 1)
    drawn = np.random.default_rng(SEED).random(len(hard)) < EASY_SHARE
    return hard | drawn, np.where(hard, 1.0, 1 / EASY_SHARE)


def _by_card(book: Handbook, chosen: Mask) -> list[npt.NDArray[np.intp]]:
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(book.card[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(book.card[rows])) + 1)


def _row(book: Handbook, starts: list[int], name: str, training: str, scores: list[Floats]) -> dict[str, Any]:
    folds = [book.test_rows(start) for start in starts]
    each = [book.measures(rows, of) for rows, of in zip(folds, scores, strict=True)]
    mean = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
    intervals = [book.ap_interval(rows, of, BOOTSTRAP) for rows, of in zip(folds, scores, strict=True)]
    return {
        "model": name, "training": training, **mean,
        "ap_folds": [round(one["ap"], 4) for one in each],
        "cp100_folds": [round(one["cp100"], 4) for one in each],
        "ap_fold_intervals": [[round(value, 4) for value in pair] for pair in intervals if pair],
    }  # fmt: skip


def _gain(
    book: Handbook, starts: list[int], training: str, before: list[Floats], after: list[Floats]
) -> dict[str, Any]:
    """What the network adds to the trees' average precision, on the same resampled cards."""
    folds = [book.test_rows(start) for start in starts]
    gains = book.ap_gains(folds, before, after)
    intervals = book.ap_gain_intervals(folds, before, after, PAIRED)
    return {
        "model": "stack - XGBoost", "training": training, "ap": gains["mean"],
        "ap_interval": intervals.pop("mean"), "ap_folds": [round(gains[name], 4) for name in intervals],
        "ap_fold_intervals": list(intervals.values()),
    }  # fmt: skip


def _measures(table: list[dict[str, Any]], replay_per_s: float) -> dict[str, float]:
    of = {(row["model"], row["training"]): row for row in table}
    short, long = TRAININGS
    return {
        "ap_7day_xgboost_book": of["XGBoost, the book's features", short]["ap"],
        "ap_7day_xgboost": of["XGBoost", short]["ap"],
        "ap_7day_gru": of["GRU", short]["ap"],
        "ap_7day_stack": of["stack", short]["ap"],
        "cp100_7day_xgboost": of["XGBoost", short]["cp100"],
        "cp100_7day_stack": of["stack", short]["cp100"],
        "ap_full_xgboost": of["XGBoost", long]["ap"],
        "ap_full_gru": of["GRU", long]["ap"],
        "ap_full_stack": of["stack", long]["ap"],
        "cp100_full_xgboost": of["XGBoost", long]["cp100"],
        "cp100_full_stack": of["stack", long]["cp100"],
        "ap_7day_gain": of["stack - XGBoost", short]["ap"],
        "ap_full_gain": of["stack - XGBoost", long]["ap"],
        "auc_full_stack": of["stack", long]["auc"],
        "replay_events_per_cpu_s": replay_per_s,
    }


if __name__ == "__main__":
    main()
