"""One fold as a job of its own: in the training part, a patient in one alone, alike in every process."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml.common.contracts import Cancelled, FoldRequest
from ml.radiology import one_fold
from ml.radiology.importing import load_frozen
from ml.radiology.one_fold import dealt, train_fold


def patients_shared(dataset, found) -> bool:
    """Whether a patient is in two folds, or on both sides of one."""
    patients = dataset.table["patient_id"].to_numpy()
    tested = [set(patients[one.test]) for one in found]
    apart = [set(patients[one.train]) & set(patients[one.choose]) for one in found]
    across = [
        set(patients[np.concatenate([one.train, one.choose])]) & set(patients[one.test]) for one in found
    ]
    return any(apart) or any(across) or len(set.union(*tested)) < sum(map(len, tested))


@pytest.fixture
def frozen(request_for):
    return load_frozen(request_for().dataset_dir)


def test_folds_hold_the_training_part_once_each_patient_in_one(frozen) -> None:
    dataset, found = dealt(frozen, FoldRequest(1, 3, 7))
    assert sorted(np.concatenate([one.test for one in found])) == list(range(len(dataset.table)))
    assert set(dataset.table["split"]) == {"train"}
    assert set(dataset.table["file"]) == set(frozen.table["file"][frozen.table["split"] == "train"])
    assert not patients_shared(dataset, found)
    again = dealt(frozen, FoldRequest(3, 3, 7))[1]
    assert all(np.array_equal(one.test, other.test) for one, other in zip(found, again, strict=True))


def test_dealt_by_film_a_patient_would_be_in_two_folds(frozen, monkeypatch) -> None:
    """Sabotage: every film its own group."""
    honest = one_fold.groups_and_patterns
    monkeypatch.setattr(
        one_fold, "groups_and_patterns", lambda *given: (np.arange(len(given[0].table)), honest(*given)[1])
    )
    assert patients_shared(*dealt(frozen, FoldRequest(1, 3, 7)))


def test_a_fold_goes_on_where_it_was_cut_off_is_measured_and_makes_no_artefact(
    request_for, monkeypatch
) -> None:
    monkeypatch.setattr(one_fold, "BOOTSTRAP", 20)
    request, fold = request_for(), FoldRequest(2, 2, 0)

    def stop_in_epoch_two(event) -> None:
        if event.epoch == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        train_fold(request, fold, stop_in_epoch_two)
    told = []
    measured = train_fold(request, fold, told.append)
    assert {event.epoch for event in told if event.phase == "train"} == {2}
    found = dealt(load_frozen(request.dataset_dir), fold)[1][1]
    assert (measured["n"], measured["n_train"]) == (len(found.test), len(found.train))
    assert 0 <= measured["auc"] <= 1
    assert json.dumps(measured)
    assert not request.output_dir.exists()
