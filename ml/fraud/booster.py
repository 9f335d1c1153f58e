"""The boosted trees: one way to grow them, for training and for the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from ml.fraud.contracts import Vector
from ml.fraud.features import FEATURE_NAMES

Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
FOLDS = 3
# More of these never makes a payment less suspicious.
RISING = {
    "amount_log", "amount_over_usual", "amount_deviation", "amount_over_mean_30d", "terminal_plain_30d",
    "terminal_run", "terminal_run_lone", "terminal_bad_30d", "terminal_risk_14d", "card_surprise",
}  # fmt: skip


def grow(
    data: xgboost.DMatrix,
    rounds: int,
    params: dict[str, Any],
    seed: int,
    val: xgboost.DMatrix | None = None,
    callbacks: Sequence[xgboost.callback.TrainingCallback] = (),
) -> xgboost.Booster:
    """Trees on FEATURE_NAMES; with `val`, no more of them than lower its loss.

    `params["device"]` says where they are grown. They answer on the CPU, as in service.
    """
    given = {
        "objective": "binary:logistic", "eval_metric": ["aucpr", "logloss"], "seed": seed, "nthread": 2,
        "monotone_constraints": tuple(int(name in RISING) for name in FEATURE_NAMES), **params,
    }  # fmt: skip
    booster = xgboost.train(
        given, data, rounds, evals=[] if val is None else [(val, "val")],
        early_stopping_rounds=None if val is None else 30, verbose_eval=False, callbacks=list(callbacks),
    )  # fmt: skip
    booster.set_param({"device": "cpu"})
    return booster if val is None else booster[: booster.best_iteration + 1]


def margins_of(trees: xgboost.Booster, features: Matrix) -> Vector:
    """Log-odds (n,) float32, a row's own whatever stands beside it."""
    return np.asarray(trees.inplace_predict(features, predict_type="margin"), np.float32)


def margins_unseen(
    features: Matrix,
    cards: npt.NDArray[Any],
    learnt: Mask,
    grown: Callable[[Mask], xgboost.Booster],
    seed: int,
) -> Vector:
    """Margins (n,) from trees that saw no payment of the row's card: `grown` on the other cards' `learnt`."""
    names, card = np.unique(cards, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[card] % FOLDS
    out = np.empty(len(features), np.float32)
    for number in range(FOLDS):
        mine = fold == number
        out[mine] = margins_of(grown(learnt & ~mine), features[mine])
    return out
