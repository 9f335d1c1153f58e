"""Time is split once: what tested or gated in an earlier dataset never teaches in a later one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ml.fraud import fitting, splits, train
from ml.fraud.splits import Period, plan, split_by_time, taught

START = pd.Timestamp("2026-01-01", tz="UTC")


def times(days: float) -> pd.Series:
    """A payment an hour."""
    return pd.Series(pd.date_range(START, START + pd.Timedelta(days=days), freq="h").as_unit("us"))


def frozen(days: float, held: list[Period]) -> pd.Series:
    """The part of each payment of a dataset of so many days; what it holds out is added to `held`."""
    at = times(days)
    periods = plan(at, held)
    parts = pd.Series(split_by_time(at, periods, held), index=at)
    held += [one for one in periods if one.part in ("test", "gate") and one not in held]
    return parts


def seen_again(second: pd.Series, first: pd.Series) -> set[str]:
    """In which parts of the second dataset the first's test and gate are."""
    return set(second[first.index[first.isin(["test", "gate"])]])


def test_the_order_is_train_val_test_gate_with_gaps() -> None:
    parts = frozen(100, [])
    runs = parts[parts != parts.shift()]
    assert list(runs) == ["train", "gap", "val", "gap", "test", "gap", "gate"]
    shares = parts.value_counts(normalize=True)
    assert shares["gate"] == pytest.approx(0.10, abs=0.01)
    assert shares["test"] == pytest.approx(0.12, abs=0.01)


@pytest.mark.parametrize("days", [101, 110, 127, 129, 140, 200, 400])
def test_no_test_or_gate_of_the_first_teaches_or_chooses_in_the_second(days: int) -> None:
    held: list[Period] = []
    first, second = frozen(100, held), frozen(days, held)
    assert not seen_again(second, first) & {"train", "val", "gap", "waiting"}
    order = [second.index[second == part] for part in ("train", "val", "test", "gate")]
    for before, after in pairwise(order):
        assert before.max() < after.min()
    # What the first held at its gate is never the second's test either.
    assert set(second[first.index[first == "gate"]]) <= {"gate", "held"}


def test_without_the_guard_it_would(monkeypatch) -> None:
    monkeypatch.setattr(splits, "may_not", lambda parts, before: np.zeros(len(parts), bool))
    held: list[Period] = []
    first, second = frozen(100, held), frozen(200, held)
    assert "train" in seen_again(second, first)


def test_frozen_every_week_time_still_comes_to_teach() -> None:
    """Were each freeze's end a gate of its own, nothing that came after the first would ever train."""
    held: list[Period] = []
    for week in range(30):
        parts = frozen(100 + 7 * week, held)
    since = parts[parts.index > START + pd.Timedelta(days=100)]
    assert (since == "train").mean() > 0.4
    assert len(held) < 2 * 30  # the same test and gate serve until there is enough for another
    assert parts.value_counts()["val"] > 24 * 2


def test_what_is_too_new_waits_and_no_trainer_reads_it_or_the_gate() -> None:
    held: list[Period] = []
    frozen(100, held)
    parts = frozen(110, held)
    assert set(parts.index[parts == "waiting"] > START + pd.Timedelta(days=100)) == {True}
    left = taught(pd.DataFrame({"split": parts.to_numpy()}))
    assert set(left["split"]) == {"train", "gap", "val", "test"}
    assert list(left.index) == list(range(len(left)))


def test_payments_of_another_time_are_split_by_themselves() -> None:
    held = [Period("test", 0, 1000), Period("gate", 2000, 3000)]
    at = times(50)
    assert plan(at, held) == plan(at)


def trained_on(request_for, monkeypatch) -> set[str]:
    """Which parts the payments are of that training goes to work with."""
    seen: list[pd.DataFrame] = []

    def replay(frame: pd.DataFrame, *_: object) -> None:
        seen.append(frame)
        raise InterruptedError

    monkeypatch.setattr(fitting, "replay_features", replay)
    with pytest.raises(InterruptedError):
        train.train(request_for(), lambda event: None)
    return set(seen[0]["split"])


def test_the_trainer_never_sees_the_gate(request_for, monkeypatch) -> None:
    assert trained_on(request_for, monkeypatch) == {"train", "gap", "val", "test"}


def test_without_the_lock_it_would(request_for, monkeypatch) -> None:
    monkeypatch.setattr(train, "taught", lambda frame: frame)
    assert "gate" in trained_on(request_for, monkeypatch)


def test_what_is_not_mature_waits_for_its_labels() -> None:
    """Of the last weeks only frauds are known: neither a test nor a gate is made of them."""
    at = times(100)
    until = at.iloc[0] + pd.Timedelta(days=60)
    parts = pd.Series(split_by_time(at, plan(at, until=until)), index=at)
    assert set(parts[parts.index >= until]) == {"waiting"}
    assert parts[parts == "gate"].index.max() > until - pd.Timedelta(hours=12)
    young = at.iloc[0] + pd.Timedelta(days=20)  # too little is mature: then all of it
    assert plan(at, until=young) == plan(at)


def test_a_hole_in_time_belongs_to_no_stretch() -> None:
    """Data that was brought along ended long before the site decided its first payment."""
    brought, own = times(50), times(50) + pd.Timedelta(days=400)
    held = [one for one in plan(brought) if one.part in ("test", "gate")]
    both = pd.concat([brought, own], ignore_index=True)
    parts = pd.Series(split_by_time(both, plan(both, held), held))
    since = parts[len(brought) :].value_counts(normalize=True)
    assert since["gate"] == pytest.approx(0.10, abs=0.02)
    assert since["test"] == pytest.approx(0.12, abs=0.02)
    assert set(parts[: len(brought)]) == {"train", "held"}
