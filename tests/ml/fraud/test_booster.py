"""The network learns from margins that the trees make for cards they never saw."""

from __future__ import annotations

import numpy as np
import xgboost

from ml.fraud.booster import FOLDS, grow, margins_unseen
from ml.fraud.features import N_FEATURES


def test_no_tree_saw_a_payment_of_the_card_it_is_asked_about() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, N_FEATURES)).astype(np.float32)
    cards, labels = np.repeat(np.arange(60), 10), (rng.random(600) < 0.3).astype(np.float32)
    learnt = rng.random(600) < 0.8
    taught = []

    def grown(rows: np.ndarray) -> xgboost.Booster:
        taught.append(rows)
        data = xgboost.DMatrix(features[rows], labels[rows])
        return grow(data, 20, {"max_depth": 8, "min_child_weight": 0}, seed=0)

    unseen = margins_unseen(features, cards, learnt, grown, seed=0)
    assert len(taught) == FOLDS
    for rows in taught:
        assert not (rows & ~learnt).any()
    asked = [set(cards) - set(cards[rows]) for rows in taught]
    assert set.union(*asked) == set(cards)
    assert sum(map(len, asked)) == len(set(cards))
    # The labels are noise: trees that saw a card know its payments, trees that did not cannot.
    seen = grown(learnt).inplace_predict(features, predict_type="margin")
    assert np.corrcoef(seen[learnt], labels[learnt])[0, 1] > 0.8
    assert abs(np.corrcoef(unseen[learnt], labels[learnt])[0, 1]) < 0.2
