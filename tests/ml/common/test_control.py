"""Labels dealt out by chance: within each part, rows whole, everything else untouched."""

from __future__ import annotations

import numpy as np

from ml.common.control import shuffled_within


def test_it_works() -> None:
    labels = np.column_stack([np.arange(60), np.arange(60) + 100]).astype(np.float32)
    train, val = np.arange(30), np.arange(30, 50)
    dealt = shuffled_within(labels, (train, val), seed=3)
    for rows in (train, val):
        assert sorted(dealt[rows, 0]) == list(labels[rows, 0])
        assert (dealt[rows, 0] != labels[rows, 0]).any()
    assert (dealt[:, 1] - dealt[:, 0] == 100).all()
    assert (dealt[50:] == labels[50:]).all()
    assert (dealt == shuffled_within(labels, (train, val), seed=3)).all()
    assert labels[0, 0] == 0  # a copy


def test_a_mask_names_a_part_as_well() -> None:
    labels = np.arange(20, dtype=np.float32)
    mask = labels < 10
    assert (shuffled_within(labels, (mask,), 0) == shuffled_within(labels, (np.flatnonzero(mask),), 0)).all()
