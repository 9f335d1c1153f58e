"""The gate's part is locked: no trainer sees a film of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ml.radiology import train
from ml.radiology.importing import Dataset, load_frozen


@pytest.fixture
def seen_parts(request_for, monkeypatch) -> Callable[[], set[str]]:
    """Which parts the films are of that training goes to work with."""

    def begin() -> set[str]:
        seen: list[Dataset] = []

        def prepare(dataset: Dataset, *_: object) -> None:
            seen.append(dataset)
            raise InterruptedError

        monkeypatch.setattr(train, "prepare", prepare)
        with pytest.raises(InterruptedError):
            train.train(request_for(), lambda event: None)
        return set(seen[0].table["split"])

    return begin


def test_the_trainer_never_sees_the_gate(seen_parts, request_for) -> None:
    assert "gate" in set(load_frozen(request_for().dataset_dir).table["split"])
    assert seen_parts() == {"train", "val", "test"}


def test_without_the_lock_it_would(seen_parts, monkeypatch) -> None:
    monkeypatch.setattr(Dataset, "taught", lambda self: self)
    assert "gate" in seen_parts()


def test_what_is_left_is_whole(request_for) -> None:
    """Labels, weights and pixels go with their rows."""
    whole = load_frozen(request_for().dataset_dir)
    left = whole.taught()
    rows = (whole.table["split"] != "gate").to_numpy().nonzero()[0]
    assert len(left.table) == len(left.labels) == len(left.weights) == len(left.places) == len(rows)
    last = len(rows) - 1
    assert left.table["file"][last] == whole.table["file"][rows[last]]
    assert (left.film(last) == whole.film(int(rows[last]))).all()
