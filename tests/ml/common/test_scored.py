"""Test scores kept in an artefact, and the cases two versions share."""

from __future__ import annotations

import numpy as np
import pytest

from ml.common import scored as kept
from ml.common.artefact import open_artefact, write_artefact
from ml.common.scored import FILE, Scored, in_common, scored


def make(cases, scores, *, names=("a", "b"), labels=None, **more) -> Scored:
    n = len(cases)
    values = {
        "points": [0.5] * len(names), "groups": [f"patient {case}" for case in cases], "rows": np.arange(n),
        "labels": np.zeros((n, len(names))) if labels is None else labels, "weights": None,
        "subgroups": {"all": np.ones(n, bool)}, **more,
    }  # fmt: skip
    return scored(names=names, cases=[(case,) for case in cases], scores=np.array(scores), **values)


def test_they_come_back_from_an_artefact_as_they_went_in(tmp_path) -> None:
    labels = np.array([[1, np.nan], [0, 1]])
    one = make(["x", "y"], [[0.1, 0.2], [0.3, 0.4]], labels=labels, points=[0.2, None])
    written = write_artefact(tmp_path / "a", kind="t", files={FILE: one.to_bytes()}, meta={})
    back = Scored.from_bytes(open_artefact(tmp_path / "a", written).path(FILE).read_bytes())
    assert back.labels.tolist() == [[1, -1], [0, 1]]
    assert back.scores == pytest.approx(np.array([[0.1, 0.2], [0.3, 0.4]]))
    assert np.isnan(back.points).tolist() == [False, True]
    assert back.called().tolist() == [[False, False], [True, False]]
    assert back.cases.dtype == np.uint64


def test_no_case_is_named_in_it() -> None:
    one = make(["patient-4711"], [[0.1, 0.2]])
    assert b"4711" not in b"".join(getattr(one, name).tobytes() for name in ("cases", "groups", "rows"))


def test_what_two_share_stands_in_one_order() -> None:
    """Whatever order, findings and other cases each has; a case that stands twice counts once."""
    first = make(["x", "y", "z", "x"], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.6, 0.6]])
    second = make(["w", "z", "x"], [[0.4], [0.5], [0.6]], names=("b",), labels=np.array([[0], [1], [0]]))
    ours, theirs = in_common([first, second], 100)
    assert list(ours.names) == ["b"]
    assert ours.cases.tolist() == theirs.cases.tolist()
    assert sorted(zip(ours.scores[:, 0], theirs.scores[:, 0], strict=True)) == [
        (pytest.approx(0.7), pytest.approx(0.5)), (pytest.approx(0.9), pytest.approx(0.6)),
    ]  # fmt: skip
    assert (ours.labels == theirs.labels).all()  # what became known later holds for both
    assert ours.labels.sum() == 1


def test_too_many_are_thinned_alike_for_every_version(monkeypatch) -> None:
    monkeypatch.setattr(kept, "CASES_MAX", 10)
    names = [f"case {i}" for i in range(50)]
    first = make(names, [[0.1, 0.1]] * 50)
    second = make(names[::-1], [[0.2, 0.2]] * 50)
    assert len(first.cases) == 10
    assert set(first.cases) == set(second.cases)


def test_an_operating_point_is_reached_by_the_score_it_was_set_by() -> None:
    """As float32 both: a score is not below itself for having been rounded."""
    value = 0.1 + 0.2
    assert make(["x"], [[value]], names=("a",), points=[value]).called().all()
