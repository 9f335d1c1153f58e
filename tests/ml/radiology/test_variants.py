"""A network in 8-bit integers: made from training films, judged on validation, served with its own gates."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import onnx
import pytest

from ml.common.artefact import ArtefactError, open_artefact
from ml.radiology import predict, variants
from ml.radiology.dataset import Films
from ml.radiology.explain import grad_cam
from ml.radiology.model import build_network, open_network
from ml.radiology.predict import FULL, INT8, RadiologyPredictor, onnx_outputs, onnx_session
from ml.radiology.readout import Rows, learn_readout
from ml.radiology.synthetic import LABELS, synthetic_film
from ml.radiology.variants import TORCH, aucs_of, calibration_batches, faster, judge_variants, timed
from tests import films as made
from tests.films import INT8_PARAMS, train_tiny


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    return made.tiny_int8_artefact(tmp_path_factory)


@pytest.fixture(scope="module")
def light(quantised) -> RadiologyPredictor:
    return RadiologyPredictor.load(quantised.artefact_dir, quantised.artefact_hash, variant=INT8)


def drawn(predictor: RadiologyPredictor, n: int = 6) -> np.ndarray:
    return predictor.preprocessing.squares([synthetic_film(8, i, rows=96).shown for i in range(n)])


def test_it_answers_nearly_as_the_full_one_does(quantised, light) -> None:
    full = RadiologyPredictor.load(quantised.artefact_dir)
    assert (full.variant, light.variant) == (FULL, INT8)
    squares = drawn(full)
    wanted, got = full.logits(squares), light.logits(squares)
    assert np.abs(got - wanted).max() < 0.5 * max(1.0, wanted.std())
    assert not np.array_equal(got, wanted)


def test_it_serves_with_thresholds_and_a_gate_of_its_own(quantised, light) -> None:
    meta = open_artefact(quantised.artefact_dir).meta
    own = meta["variants"][INT8]
    assert own["temperature"] != meta["temperature"]
    assert light.temperature.tolist() == [own["temperature"][label] for label in light.labels]
    assert light.operating_points == tuple(own["operating_points"][label] for label in light.labels)
    full = RadiologyPredictor.load(quantised.artefact_dir)
    assert not np.array_equal(light.image_gate.usual, full.image_gate.usual)


def test_it_says_where_it_looked(quantised, light) -> None:
    full = RadiologyPredictor.load(quantised.artefact_dir)
    seen = [onnx_outputs(one.session, one.preprocessing, drawn(one), "maps")["maps"] for one in (light, full)]
    for label in range(len(light.labels)):
        for got, wanted in zip(*seen, strict=True):
            mine, theirs = (grad_cam(maps, light.head[label]).ravel() for maps in (got, wanted))
            if theirs.std() > 0.1:
                assert np.corrcoef(mine, theirs)[0, 1] > 0.8


def test_first_layer_and_head_stay_in_floating_point(quantised) -> None:
    graph = onnx.load(quantised.artefact_dir / "model.int8.onnx").graph
    by_output = {name: node for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    of_integers = [by_output[node.input[1]].op_type for node in convolutions if node.input[1] in by_output]
    assert of_integers == ["DequantizeLinear"] * (len(convolutions) - 1)
    assert convolutions[0].input[1] not in by_output
    [head] = [node for node in graph.node if "logits" in node.output]
    assert (head.op_type, head.input[1] in by_output) == ("Gemm", False)


def test_what_the_machine_measured_goes_with_the_version_not_into_the_artefact(
    quantised, request_for, monkeypatch
) -> None:
    profile = quantised.metrics["inference"]
    assert set(profile["variants"]) == {TORCH, FULL, INT8}
    for row in profile["variants"].values():
        assert min(row[key] for key in ("mb", "ms_1", "ms_16", "cpu_s_per_1000")) > 0
        assert row["intervals"]["auc"][0] <= row["auc"] <= row["intervals"]["auc"][1]
    assert profile["variants"][INT8]["mb"] < profile["variants"][FULL]["mb"] / 2
    assert "inference" not in open_artefact(quantised.artefact_dir).meta["metrics"]
    # Times differ from one training to the next; the artefact does not.
    monkeypatch.setattr(variants, "AUC_LOSS_MAX", 1.0)
    monkeypatch.setattr(variants, "faster", lambda one, other: False)
    again = train_tiny(request_for(params=INT8_PARAMS))
    assert again.artefact_hash == quantised.artefact_hash
    assert again.metrics["inference"]["chosen"] == FULL
    assert again.metrics["inference"]["variants"][INT8]["accepted"] is False


def test_one_that_loses_too_much_is_not_kept(quantised, monkeypatch) -> None:
    network = open_network(open_artefact(quantised.artefact_dir))
    rng = np.random.default_rng(0)
    films = Films(
        rng.integers(0, 255, (60, 48, 48)).astype(np.uint8), rng.integers(0, 2, (60, 5)).astype(np.float32),
        np.ones(60, np.float32), network.preprocessing,
    )  # fmt: skip
    rows = Rows(np.arange(30), np.arange(30, 60), np.arange(30, 60), [str(i) for i in range(60)])

    def learn(session):
        return learn_readout(session, films, rows, 0.5)

    def judge() -> variants.Judged:
        onnx_model = (quantised.artefact_dir / "model.onnx").read_bytes()
        full = learn(onnx_session(onnx_model))
        return judge_variants(network, onnx_model, full, learn, list(LABELS), films, rows, golden, 0)

    golden, before = films.squares[:2], variants.AUC_LOSS_MAX
    monkeypatch.setattr(variants, "faster", lambda one, other: True)
    monkeypatch.setattr(variants, "AUC_LOSS_MAX", -2.0)
    judged = judge()
    assert (judged.files, judged.profile["chosen"]) == ({}, FULL)
    assert judged.meta[INT8]["accurate"] is False
    with monkeypatch.context() as patch:
        patch.setattr(variants, "int8_bytes", lambda *given: 1 / 0)
        judged = judge()
    # Hours of training are not lost for a network that the quantiser does not know.
    assert (judged.files, judged.profile) == ({}, {})
    assert judged.meta == {INT8: {"accurate": False, "not_made": "ZeroDivisionError"}}
    # Without that look at what is lost it would serve.
    monkeypatch.setattr(variants, "AUC_LOSS_MAX", 2.0)
    judged = judge()
    assert set(judged.files) == {"model.int8.onnx", "gate.int8.npz", "golden.int8.npz"}
    assert judged.profile["chosen"] == INT8
    assert before == 0.003


@pytest.mark.parametrize("form", ["int4", "torch"])
def test_a_form_the_artefact_lacks_is_refused(quantised, form) -> None:
    with pytest.raises(ArtefactError) as caught:
        RadiologyPredictor.load(quantised.artefact_dir, variant=form)
    assert caught.value.code == "unknown_variant"


def test_one_that_answers_otherwise_than_recorded_is_not_served(quantised, monkeypatch) -> None:
    """By ten times what the integers moved the answers; by less, as another processor may, it is."""
    atol = open_artefact(quantised.artefact_dir).meta["variants"][INT8]["golden_atol"]
    assert atol >= predict.GOLDEN_ATOL
    honest = predict.onnx_logits
    monkeypatch.setattr(predict, "onnx_logits", lambda *given: honest(*given) + 0.5 * atol)
    RadiologyPredictor.load(quantised.artefact_dir, variant=INT8)
    monkeypatch.setattr(predict, "onnx_logits", lambda *given: honest(*given) + 10 * atol)
    with pytest.raises(ArtefactError) as caught:
        RadiologyPredictor.load(quantised.artefact_dir, variant=INT8)
    assert caught.value.code == "golden_mismatch"


def test_a_tampered_one_is_not_served(quantised, tmp_path) -> None:
    shutil.copytree(quantised.artefact_dir, tmp_path / "a")
    path = tmp_path / "a" / "model.int8.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtefactError) as caught:
        RadiologyPredictor.load(tmp_path / "a", variant=INT8)
    assert caught.value.code == "hash_mismatch"


def test_ranges_are_learnt_from_training_films_alone() -> None:
    preprocessing = build_network("resnet10t", 1, 32, None, 0).preprocessing
    squares = np.zeros((400, 32, 32), np.uint8)
    squares[:300] = 255
    films = Films(squares, np.zeros((400, 1), np.float32), np.ones(400, np.float32), preprocessing)
    rows = Rows(np.arange(300), np.arange(300, 400), np.arange(300, 400), ["p"] * 400)
    batches = calibration_batches(films, rows)
    assert sum(len(batch) for batch in batches) == variants.CALIBRATION_FILMS
    assert all((batch > 0).all() for batch in batches)
    few = dataclasses.replace(rows, train=np.arange(5))
    assert [batch.shape for batch in calibration_batches(films, few)] == [(5, 1, 32, 32)]


def test_what_is_lost_is_measured_on_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (300, 2)).astype(np.float32)
    labels[:20, 1] = np.nan
    logits = np.nan_to_num(labels) + rng.normal(size=(300, 2))
    noisy = logits + rng.normal(size=(300, 2))
    found = aucs_of({TORCH: logits, FULL: logits, INT8: noisy}, labels, [str(i) for i in range(300)], 0)
    assert found[TORCH]["auc_loss"] == 0
    assert found[TORCH]["intervals"]["auc_loss"] == [0, 0]
    low, high = found[INT8]["intervals"]["auc_loss"]
    assert 0 < low < found[INT8]["auc_loss"] < high


def test_faster_is_faster_alone_and_together() -> None:
    assert faster({"ms_1": 1, "ms_16": 9}, {"ms_1": 2, "ms_16": 10})
    assert not faster({"ms_1": 1, "ms_16": 11}, {"ms_1": 2, "ms_16": 10})
    assert not faster({"ms_1": 3, "ms_16": 9}, {"ms_1": 2, "ms_16": 10})


def test_forms_are_timed_in_turn() -> None:
    asked: list[tuple[str, int]] = []
    runs = {name: lambda films, name=name: asked.append((name, len(films))) for name in ("a", "b")}
    found = timed(runs, np.zeros((16, 1, 2, 2), np.float32))
    assert set(found) == {"a", "b"}
    one_round = [("a", 1)] * 3 + [("a", 16)] + [("b", 1)] * 3 + [("b", 16)]
    assert asked[4:] == one_round * variants.ROUNDS
