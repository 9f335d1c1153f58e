"""The attention map is Grad-CAM, depends on what was learnt, and lies where the film lies."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ml.common.artefact import open_artefact
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import Films
from ml.radiology.explain import grad_cam, on_film, peak
from ml.radiology.fitting import fit_network
from ml.radiology.model import Network, build_network, onnx_bytes, open_network
from ml.radiology.predict import RadiologyPredictor, onnx_outputs, onnx_session
from ml.radiology.synthetic import synthetic_film


@pytest.fixture(scope="module")
def predictor(trained) -> RadiologyPredictor:
    return RadiologyPredictor.load(trained.artefact_dir)


def by_backward_pass(network: Network, films: np.ndarray, label: int) -> np.ndarray:
    """Grad-CAM as published: the gradient of the logit by the last maps, averaged over places."""
    maps = network.module.forward_features(torch.from_numpy(films)).detach().requires_grad_()
    network.module.forward_head(maps)[:, label].sum().backward()
    seen = torch.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1)).detach().numpy()
    return seen / seen.max((1, 2), keepdims=True).clip(1e-12)


def test_without_a_backward_pass_it_is_grad_cam_all_the_same(trained, predictor) -> None:
    network = open_network(open_artefact(trained.artefact_dir))
    squares = predictor.preprocessing.squares([synthetic_film(8, i, rows=96).shown for i in range(4)])
    maps = onnx_outputs(predictor.session, predictor.preprocessing, squares, "maps")["maps"]
    films = predictor.preprocessing.normalise(squares)
    for label in range(len(predictor.labels)):
        wanted = by_backward_pass(network, films, label)
        got = np.stack([grad_cam(one, predictor.head[label]) for one in maps])
        np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_captum_says_the_same(trained, predictor) -> None:
    from captum.attr import LayerGradCam

    network = open_network(open_artefact(trained.artefact_dir))
    squares = predictor.preprocessing.squares([synthetic_film(8, i, rows=96).shown for i in range(4)])
    maps = onnx_outputs(predictor.session, predictor.preprocessing, squares, "maps")["maps"]
    films = torch.from_numpy(predictor.preprocessing.normalise(squares))
    captum = LayerGradCam(network.module, network.module.get_submodule("layer4"))
    wanted = captum.attribute(films, target=1, relu_attributions=True).detach().numpy()[:, 0]
    got = np.stack([grad_cam(one, predictor.head[1]) for one in maps])
    np.testing.assert_allclose(got, wanted / wanted.max((1, 2), keepdims=True).clip(1e-12), atol=1e-3)


@pytest.mark.parametrize("backbone", ["mobilenetv2_100", "densenet121"])
def test_it_is_for_other_networks_too(backbone: str) -> None:
    network = build_network(backbone, 2, 64, None, 3)
    torch.nn.init.normal_(network.head_module().weight, std=0.1)
    squares = np.random.default_rng(0).integers(0, 255, (2, 64, 64), np.uint8)
    session = onnx_session(onnx_bytes(network))
    maps = onnx_outputs(session, network.preprocessing, squares, "maps")["maps"]
    weights = network.head_module().weight.detach().numpy()
    wanted = by_backward_pass(network, network.preprocessing.normalise(squares), 1)
    np.testing.assert_allclose(np.stack([grad_cam(one, weights[1]) for one in maps]), wanted, atol=1e-3)


def test_a_network_whose_head_is_not_linear_on_maps_explains_nothing() -> None:
    network = build_network("convnext_atto", 2, 64, None, 0)
    films = np.zeros((1, 1, 64, 64), np.float32)
    assert onnx_session(onnx_bytes(network)).run(["maps"], {"films": films})[0].size == 0


def test_other_weights_look_elsewhere(trained, predictor) -> None:
    """The sanity check of Adebayo et al. 2018: a map that ignores what was learnt explains nothing."""
    network = open_network(open_artefact(trained.artefact_dir))
    squares = predictor.preprocessing.squares([synthetic_film(8, i, rows=96).shown for i in range(8)])
    films = predictor.preprocessing.normalise(squares)
    before = by_backward_pass(network, films, 0)
    torch.manual_seed(1)
    for parameter in network.module.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    after = by_backward_pass(network, films, 0)
    alike = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(before, after, strict=True)
        if a.any() and b.any()
    ]
    assert not alike or np.mean(alike) < 0.9
    assert not np.allclose(before, after, atol=0.05)


def test_only_what_is_called_gets_a_map(predictor) -> None:
    film = synthetic_film(8, 0, rows=128).shown
    points = (0.0, 1.0, None, 0.0, 1.0)
    [answer] = dataclasses.replace(predictor, operating_points=points).predict([film])
    assert [finding.attention is not None for finding in answer.findings] == [True, False, False, True, False]
    rows, columns = film.shape
    shown = answer.findings[0].attention
    assert max(shown.shape) == 256
    assert shown.shape[0] / shown.shape[1] == pytest.approx(rows / columns, rel=0.02)


def test_where_nothing_speaks_for_a_finding_there_is_no_map(predictor) -> None:
    film = synthetic_film(8, 0, rows=128).shown
    against = dataclasses.replace(
        predictor, operating_points=(0.0,) * len(predictor.labels), head=-np.abs(predictor.head)
    )
    [answer] = against.predict([film])
    assert all(finding.positive and finding.attention is None for finding in answer.findings)


def test_the_map_lies_where_the_film_lies_in_the_square() -> None:
    cam = np.zeros((8, 8), np.float32)
    cam[2, 5] = 1  # of a square of 8: a tall film of half the width fills columns 2 to 6
    shown = on_film(cam, (400, 200))
    assert shown.shape == (256, 128)
    row, column = peak(shown)
    assert row == pytest.approx(2.5 / 8, abs=0.03) and column == pytest.approx(3.5 / 4, abs=0.05)
    assert grad_cam(np.zeros((3, 2, 2)), np.ones(3)).tolist() == [[0, 0], [0, 0]]


def signed_films(n: int) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """Synthetic films, every second with a chequered square somewhere; labels, and the squares' masks."""
    bare = [synthetic_film(1, i, rows=96, findings=[]).shown for i in range(40)]
    rng, films, masks = np.random.default_rng(n), [], []
    for i in range(n):
        film, mask = bare[i % len(bare)].copy(), np.zeros(bare[i % len(bare)].shape, bool)
        top, left = (int(rng.integers(0, side - 30)) for side in film.shape)
        if i % 2:
            mask[top : top + 30, left : left + 30] = True
            film[mask] = (np.indices(film.shape).sum(0) // 4 % 2)[mask]
        films.append(film)
        masks.append(mask)
    return films, np.arange(n, dtype=np.float32)[:, None] % 2, masks


def test_it_points_inside_what_is_there_more_often_than_chance(tmp_path) -> None:
    network = build_network("resnet10t", 1, 96, None, 0)
    shown, labels, _ = signed_films(160)
    squares, alike = network.preprocessing.squares(shown), np.ones(len(shown), np.float32)
    films = Films(squares, labels, alike, network.preprocessing)
    config = TrainConfig(epochs=4, batch_size=16, learning_rate=4e-3, augment=0.0)
    fit_network(
        network, films, np.arange(120), np.arange(120, 160), config, seed=0, device="cpu",
        checkpoint_dir=tmp_path, resume=False, key="", progress=lambda event: None,
    )  # fmt: skip
    shown, labels, masks = signed_films(80)
    inputs = network.preprocessing.normalise(network.preprocessing.squares(shown))
    with torch.no_grad():
        maps = network.module.forward_features(torch.from_numpy(inputs)).numpy()
    weights = network.head_module().weight.detach().numpy()[0]
    hits, chance = [], []
    for film, mask in zip(maps[1::2], masks[1::2], strict=True):
        row, column = peak(on_film(grad_cam(film, weights), mask.shape))
        hits.append(mask[int(row * len(mask)), int(column * mask.shape[1])])
        chance.append(mask.mean())
    assert np.mean(hits) > 3 * np.mean(chance)
