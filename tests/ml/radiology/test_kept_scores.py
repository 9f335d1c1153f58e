"""What training keeps of the test films, for the card and for comparing versions."""

from __future__ import annotations

import numpy as np
import pytest

from ml.common.artefact import open_artefact
from ml.common.comparing import compare
from ml.common.scored import FILE, Scored
from ml.radiology.importing import load_frozen
from ml.radiology.speed import measure_speed
from ml.radiology.synthetic import LABELS


@pytest.fixture(scope="module")
def kept(trained) -> Scored:
    artefact = open_artefact(trained.artefact_dir, trained.artefact_hash)
    return Scored.from_bytes(artefact.path(FILE).read_bytes())


def test_the_kept_scores_are_those_that_were_measured(kept, trained, request_for) -> None:
    test, table = trained.metrics["test"], load_frozen(request_for().dataset_dir).table
    assert (tuple(kept.names), len(kept.cases)) == (LABELS, test["n"])
    assert (table["split"].iloc[kept.rows] == "test").all()
    found = compare([kept, kept], rounds=2)["versions"][1]["measures"]
    assert {name: found[name] for name in ("auc", "ap", "brier")} == {
        name: pytest.approx(test[name], abs=1e-5) for name in ("auc", "ap", "brier")
    }
    points = open_artefact(trained.artefact_dir).meta["operating_points"]
    assert np.isnan(kept.points).tolist() == [points[name] is None for name in LABELS]
    assert list(kept.subgroup_names) == list(test.get("subgroups", {}))


def test_it_says_what_it_was_made_with_and_what_thresholds_come_to(trained) -> None:
    meta = open_artefact(trained.artefact_dir).meta
    assert {"numpy", "torch", "timm"} <= set(meta["lineage"]["libraries"])
    assert set(meta["curves"]) <= set(LABELS)
    assert meta["curves"]


def test_its_time_is_measured(trained) -> None:
    assert set(measure_speed(trained.artefact_dir, trained.artefact_hash)) == {"ms_1", "ms_16"}
