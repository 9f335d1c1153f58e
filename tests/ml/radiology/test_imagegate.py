"""Pictures unlike those the model was validated on are turned away, and good films are not."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ml.common.artefact import open_artefact
from ml.common.metrics import roc_auc
from ml.radiology.contracts import GateVerdict, InstanceHeader
from ml.radiology.gate import age_gate
from ml.radiology.imagegate import SEEN, ImageGate, learn_gate
from ml.radiology.predict import RadiologyPredictor, onnx_outputs
from ml.radiology.synthetic import synthetic_film


def features(n: int, seed: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Correlated features of three sizes, as a network's are."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    out = {}
    for name, size in zip(SEEN, (40, 80, 3), strict=True):
        mixing = fixed.normal(size=(6, size))
        out[name] = rng.normal(size=(n, 6)) @ mixing + 0.1 * rng.normal(size=(n, size)) + shift
    return out


@pytest.fixture(scope="module")
def gate() -> ImageGate:
    return learn_gate(features(600, 0), features(400, 1))


def test_it_works(gate) -> None:
    good, odd = features(2000, 2), features(200, 3, shift=3.0)
    turned_away = np.mean([not verdict.accepted for verdict in gate.verdicts(good)])
    assert 0 < turned_away < 0.03
    verdicts = gate.verdicts(odd)
    assert all(not verdict.accepted for verdict in verdicts)
    assert verdicts[0].code == "outside_validated"
    assert "outside what this model was validated on" in verdicts[0].reason


def test_what_lies_outside_the_directions_of_training_is_seen_too(gate) -> None:
    odd, space = features(200, 4), gate.spaces["late"]
    aside = np.random.default_rng(5).normal(size=odd["late"].shape)
    aside -= aside @ space.axes.T @ space.axes
    odd["late"] = odd["late"] + aside * space.scale
    assert not any(verdict.accepted for verdict in gate.verdicts(odd))
    # Without that half of the distances they would pass.
    deviation = gate.usual[1] * np.array([1, 1e9, 1, 1e9, 1])
    blind = dataclasses.replace(gate, usual=np.stack([gate.usual[0], deviation]))
    assert np.mean([verdict.accepted for verdict in blind.verdicts(odd)]) > 0.95


def test_doubt_counts(gate) -> None:
    sure, unsure = features(200, 8), features(200, 8)
    sure["logits"], unsure["logits"] = np.full((200, 3), -6.0), np.zeros((200, 3))
    assert (gate.scores(unsure) > gate.scores(sure)).all()


def test_too_few_films_set_no_limit() -> None:
    gate = learn_gate(features(100, 0), features(60, 1))
    assert gate.limit == math.inf
    assert gate.verdicts(features(1, 2, shift=100.0)) == [GateVerdict(True)]


def test_it_is_kept_whole(gate) -> None:
    again, some = ImageGate.from_arrays(gate.arrays()), features(50, 7)
    np.testing.assert_allclose(again.scores(some), gate.scores(some), rtol=0.01, atol=0.01)
    assert again.limit == pytest.approx(gate.limit)


def test_on_films_it_tells_noise_and_negatives_from_films(trained) -> None:
    """The tiny model has too few validation films for a limit; its distances order pictures all the same."""
    predictor = RadiologyPredictor.load(trained.artefact_dir)
    films = [synthetic_film(50, i, rows=96).shown for i in range(12)]
    rng = np.random.default_rng(0)
    odd = [rng.random((96, 96), np.float32) for _ in range(6)] + [1 - film for film in films[:6]]
    scores = predictor.unusual(predictor.preprocessing.squares([*films, *odd]))
    assert roc_auc(np.repeat([0, 1], 12), scores) > 0.9


def test_a_picture_outside_gets_a_verdict_and_no_findings(trained) -> None:
    predictor = RadiologyPredictor.load(trained.artefact_dir)
    film = synthetic_film(50, 0, rows=96).shown
    assert predictor.predict([film])[0].verdict.accepted
    strict = dataclasses.replace(predictor, image_gate=dataclasses.replace(predictor.image_gate, limit=0.0))
    [answer] = strict.predict([film])
    assert (answer.findings, answer.verdict.code) == ((), "outside_validated")


def test_the_gate_travels_in_the_artefact(trained) -> None:
    artefact = open_artefact(trained.artefact_dir)
    predictor = RadiologyPredictor.load(trained.artefact_dir)
    golden = artefact.golden()
    seen = onnx_outputs(predictor.session, predictor.preprocessing, golden["squares"], *SEEN)
    np.testing.assert_allclose(predictor.image_gate.scores(seen), golden["unusual"], rtol=1e-3)


@pytest.mark.parametrize(
    ("age", "born", "accepted"),
    [("058Y", "", True), ("004Y", "", False), ("", "20200101", False), ("", "19600101", True), ("", "", True),
     ("004Y", "19600101", False), ("006M", "", False), ("018Y", "", True)],
)  # fmt: skip
def test_a_patient_of_another_age_is_not_judged(age: str, born: str, accepted: bool) -> None:
    given = InstanceHeader(
        "1", "1", "1", "1", "1", PatientAge=age, PatientBirthDate=born, StudyDate="20240601"
    )
    verdict = age_gate(given, (18.0, 90.0))
    assert verdict.accepted is accepted
    assert accepted or (verdict.code == "age" and "18 to 90 years" in verdict.reason)
    assert age_gate(given, None).accepted
