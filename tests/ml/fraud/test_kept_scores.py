"""What training keeps of the test, for the card and for comparing versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml.common.artefact import open_artefact
from ml.common.comparing import compare
from ml.common.metrics import roc_auc
from ml.common.scored import FILE, Scored
from ml.fraud import subgroups
from ml.fraud.importing import load_frozen
from ml.fraud.speed import measure_speed
from ml.fraud.train import _test_scores


@pytest.fixture(scope="module")
def artefact(trained):
    return open_artefact(trained.artefact_dir, trained.artefact_hash)


@pytest.fixture(scope="module")
def kept(artefact) -> Scored:
    return Scored.from_bytes(artefact.path(FILE).read_bytes())


def test_the_kept_scores_are_those_that_were_measured(artefact, kept, trained) -> None:
    test = trained.metrics["test"]
    assert (list(kept.names), len(kept.cases)) == (["fraud"], test["n"])
    assert roc_auc(kept.labels[:, 0], kept.scores[:, 0]) == pytest.approx(test["auc"], abs=1e-6)
    assert kept.points[0] == np.float32(artefact.meta["thresholds"]["review"])
    found = compare([kept, kept], rounds=2)["versions"][1]
    assert found["measures"]["sensitivity"] == pytest.approx(test["sensitivity"], abs=0.01)
    assert len(set(kept.cases.tolist())) == test["n"]


def test_a_row_is_that_of_the_dataset(kept, request_for) -> None:
    frame, _ = load_frozen(request_for().dataset_dir)
    rows = frame.iloc[kept.rows]
    assert (rows["split"] == "test").all()
    assert rows["fraud"].tolist() == kept.labels[:, 0].tolist()


def test_it_says_what_it_was_made_with_and_what_thresholds_come_to(artefact) -> None:
    lineage = artefact.meta["lineage"]
    assert {"numpy", "torch"} <= set(lineage["libraries"])
    assert artefact.meta["curves"]["fraud"]["roc"][-1] == [1.0, 1.0]


def test_the_same_id_of_another_payment_is_another_case(request_for) -> None:
    frame, _ = load_frozen(request_for().dataset_dir)
    test = (frame["split"] == "test").to_numpy() & frame["fraud"].notna().to_numpy()
    scores = np.full(len(frame), 0.5)
    other = frame.assign(amount_minor=frame["amount_minor"] + 1)
    ours, theirs = (_test_scores(one, scores, 0.5, test, np.arange(len(one))) for one in (frame, other))
    assert not np.isin(ours.cases, theirs.cases).any()


def test_subgroups_have_enough_to_be_measured_and_are_not_all(monkeypatch) -> None:
    monkeypatch.setattr(subgroups, "MIN_PAYMENTS", 2)
    monkeypatch.setattr(subgroups, "MIN_FRAUDS", 1)
    frame = pd.DataFrame(
        {
            "channel": ["pos", "pos", "pos", "ecom"], "entry_mode": ["chip"] * 4,
            "amount_minor": [100, 200, 3000, 4000],
            "fraud": pd.array([1, 0, 1, 1], "Int8"),
        }
    )  # fmt: skip
    found = {name: rows.tolist() for name, rows in subgroups.subgroups_of(frame).items()}
    assert found == {
        "amount 0 to 20": [True, True, False, False], "amount 20 to 100": [False, False, True, True],
        "channel pos": [True, True, True, False],
    }  # fmt: skip


def test_its_time_is_measured(trained) -> None:
    assert set(measure_speed(trained.artefact_dir, trained.artefact_hash)) == {"ms_1", "ms_16"}
