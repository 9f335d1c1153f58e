"""The parts of the training loop, each shown by what it changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ml.common.contracts import Cancelled
from ml.radiology import augment as augmentation
from ml.radiology import fitting
from ml.radiology.augment import augment, cover_corners
from ml.radiology.config import PRESETS, TrainConfig
from ml.radiology.folds import folds_of
from ml.radiology.model import build_network
from ml.radiology.schedule import Average, make_optimizer, only_head_learns, set_rate
from tests.films import train_tiny
from tests.ml.radiology.test_weights import imagenet_like

TINY = {**PRESETS["tiny"], "epochs": 1}


def made(backbone: str = "resnet10t", **more):
    return build_network(backbone, 2, 32, None, 0, **more)


def test_unknown_labels_neither_teach_nor_count() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]], requires_grad=True)
    labels, known = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = fitting.masked_loss(logits, labels, known)
    loss.backward()
    assert logits.grad[:, 1].abs().sum() == 0
    alone = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels[:, 0])
    assert loss.item() == pytest.approx(alone.item())


def test_a_label_counts_as_often_as_its_film_weighs() -> None:
    """Three times is as three films of the same; ones change no bit."""
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    labels, known = (logits > 0.3).float(), torch.tensor([[1.0, 0.0]] + [[1.0, 1.0]] * 4)
    heavy = known * torch.tensor([3.0, 1, 1, 1, 1]).unsqueeze(1)
    many = [torch.cat([one[:1], one[:1], one]) for one in (logits, labels, known)]
    weighed = fitting.masked_loss(logits, labels, heavy)
    assert weighed.item() == pytest.approx(fitting.masked_loss(*many).item())
    assert weighed.item() != pytest.approx(fitting.masked_loss(logits, labels, known).item())
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    before = (losses * known).sum() / known.sum().clamp(min=1)
    assert torch.equal(fitting.masked_loss(logits, labels, known * torch.ones(5, 1)), before)


def test_augmentation_never_flips() -> None:
    marked = torch.zeros(64, 1, 32, 32)
    marked[:, :, :, :8] = 1  # bright on the left
    moved = augment(marked, 1.0, torch.Generator().manual_seed(0))
    assert moved.shape == marked.shape
    assert bool((moved[..., :16].mean((1, 2, 3)) > moved[..., 16:].mean((1, 2, 3))).all())
    assert not torch.equal(moved[0], moved[1])


def test_augmentation_turns_by_ten_degrees_at_most(monkeypatch) -> None:
    turned = []
    honest = augmentation.functional.affine_grid
    monkeypatch.setattr(
        augmentation.functional, "affine_grid",
        lambda theta, *given, **named: turned.append(theta) or honest(theta, *given, **named),
    )  # fmt: skip
    augment(torch.rand(256, 1, 16, 16), 3.0, torch.Generator().manual_seed(0))
    degrees = torch.rad2deg(torch.atan2(turned[0][:, 1, 0], turned[0][:, 0, 0])).abs()
    assert 9 < degrees.max() <= augmentation.MAX_TURN_DEGREES + 1e-4


def test_only_corners_are_covered() -> None:
    covered = cover_corners(torch.ones(200, 1, 50, 50), 0.5, torch.Generator().manual_seed(0))
    assert 50 < int((covered == 0).any(-1).any(-1).sum()) < 150
    assert covered[:, :, 10:40].min() == covered[:, :, :, 10:40].min() == 1
    corners = [covered[:, 0, row, column] for row in (0, -1) for column in (0, -1)]
    assert all(bool((corner == 0).any()) for corner in corners)


def test_a_label_is_held_less_certain() -> None:
    logits, known = torch.tensor([[20.0]]), torch.ones(1, 1)
    assert fitting.masked_loss(logits, torch.ones(1, 1), known) < 1e-6
    assert fitting.masked_loss(logits, torch.ones(1, 1), known, 0.1) > 0.9


def test_lower_layers_of_a_pretrained_network_learn_more_slowly() -> None:
    network, config = made(), TrainConfig(first_layer_rate=0.1)
    assert {group["scale"] for group in make_optimizer(network, config).param_groups} == {1.0}
    network.pretrained = True
    optimizer = make_optimizer(network, config)
    set_rate(optimizer, config.warmup_share, config)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(network.module.named_parameters())
    assert rate[id(parameters["fc.weight"])] == pytest.approx(config.learning_rate)
    assert rate[id(parameters["conv1.0.weight"])] == pytest.approx(config.learning_rate * 0.1)
    assert rate[id(parameters["layer1.0.conv1.weight"])] < rate[id(parameters["layer4.0.conv1.weight"])]
    biases = next(g for g in optimizer.param_groups if any(p is parameters["fc.bias"] for p in g["params"]))
    assert biases["weight_decay"] == 0


def test_the_rate_rises_and_falls_along_a_cosine() -> None:
    config = TrainConfig(warmup_share=0.2)
    optimizer = make_optimizer(made(), config)
    rates = []
    for share in (0.0, 0.1, 0.2, 0.6, 1.0):
        set_rate(optimizer, share, config)
        rates.append(optimizer.param_groups[0]["lr"] / config.learning_rate)
    assert rates[0] < 0.01 and rates[1] == pytest.approx(0.5, abs=0.01)
    assert rates[2:] == pytest.approx([1, 0.5, 0])


def test_first_only_the_head_learns() -> None:
    network = made()
    only_head_learns(network, only=True)
    learning = {name for name, p in network.module.named_parameters() if p.requires_grad}
    assert learning == {"fc.weight", "fc.bias"} and not network.module.training
    only_head_learns(network, only=False)
    assert all(p.requires_grad for p in network.module.parameters()) and network.module.training


def test_the_average_follows_slowly() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    average = Average(module, 0.9)
    torch.nn.init.ones_(module.weight)
    average.follow(10_000)
    assert average.module.weight.item() == pytest.approx(0.1)
    at_once = Average(module, 0.0)
    torch.nn.init.zeros_(module.weight)
    at_once.follow(10_000)
    assert at_once.module.weight.item() == 0


def test_a_pretrained_network_trains_with_everything_on(tmp_path, request_for) -> None:
    save_file(imagenet_like(), tmp_path / "resnet10t.safetensors")
    params = {**PRESETS["tiny"], "dropout": 0.2, "drop_path": 0.1, "channels": "3"}
    told = []
    result = train_tiny(request_for(params=params, weights_dir=tmp_path), told.append)
    assert "from resnet10t.safetensors" in told[0].message
    assert len(result.metrics["history"]) == 2


def test_where_memory_does_not_suffice_the_batch_is_halved(request_for, monkeypatch) -> None:
    honest, sizes = fitting.masked_loss, []

    def small_card(logits, labels, known, smoothing=0.0):
        if logits.requires_grad:
            sizes.append(len(logits))
        if len(logits) > 16 and logits.requires_grad:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return honest(logits, labels, known, smoothing)

    monkeypatch.setattr(fitting, "masked_loss", small_card)
    told = []
    halved = train_tiny(request_for(params=TINY), told.append)
    assert any("batches of 16 films" in event.message for event in told)
    assert sizes[0] == 32 and max(sizes[1:]) == 16
    monkeypatch.setattr(fitting, "masked_loss", honest)
    # What was begun with the large batch left nothing behind.
    small = train_tiny(request_for(params={**TINY, "batch_size": 16}))
    assert halved.metrics["history"] == small.metrics["history"]


def test_a_batch_that_cannot_be_halved_any_more_fails(request_for, monkeypatch) -> None:
    def no_memory(*given):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(fitting, "masked_loss", no_memory)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        train_tiny(request_for())


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_any_network_of_timms_can_be_asked_for(backbone: str) -> None:
    for channels in (1, 3):
        network = made(backbone, channels=channels)
        assert network.module.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 2)
        assert network.preprocessing.interpolation in ("bicubic", "bilinear")


def test_three_channels_see_the_same_as_one(tmp_path) -> None:
    from ml.radiology.weights import find_weights

    save_file(imagenet_like(), tmp_path / "resnet10t.safetensors")
    weights = find_weights(tmp_path, "resnet10t")
    one, three = (build_network("resnet10t", 2, 32, weights, 0, channels=n).module.eval() for n in (1, 3))
    films = torch.from_numpy(np.random.default_rng(0).random((2, 1, 32, 32), np.float32))
    three.get_submodule("fc").load_state_dict(one.get_submodule("fc").state_dict())
    torch.testing.assert_close(one(films), three(films), atol=1e-4, rtol=1e-4)


def test_a_network_timm_does_not_have_is_named(request_for) -> None:
    params = dataclasses.asdict(TrainConfig(backbone="resnet999", epochs=1))
    with pytest.raises(ValueError, match="timm has no network called 'resnet999'"):
        train_tiny(request_for(params=params))


def test_folds_are_by_patient_and_score_every_film_once() -> None:
    groups = np.repeat(np.arange(60), 2)
    patterns = ["1" if group < 20 else "0" for group in groups]
    rows = np.arange(4, 120)
    folds = folds_of(groups, patterns, rows, 5, seed=0)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(rows)
    for fold in folds:
        parts = [set(groups[part]) for part in (fold.train, fold.choose, fold.test)]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(fold.train) + len(fold.choose) + len(fold.test) == len(rows)
        assert all({patterns[row] for row in part} == {"0", "1"} for part in (fold.choose, fold.test))


def test_cross_validation_is_told_kept_and_measured(request_for) -> None:
    request = request_for(params={**TINY, "folds": 2})
    told = []

    def stop_in_fold_two(event) -> None:
        told.append(event)
        if "fold 2" in event.message and event.step == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        train_tiny(request, stop_in_fold_two)
    assert (request.checkpoint_dir / "fold-0.json").is_file()
    told.clear()
    result = train_tiny(dataclasses.replace(request, resume=True), told.append)
    assert not any("fold 1 of" in event.message for event in told)
    assert any(event.phase == "folds" and "fold 2 of 2" in event.message for event in told)
    crossed = result.metrics["cross_validation"]
    assert set(crossed) == {"fold 1", "fold 2", "all"}
    assert crossed["all"]["n"] == crossed["fold 1"]["n"] + crossed["fold 2"]["n"]
    low, high = crossed["all"]["intervals"]["auc"]
    assert low <= crossed["all"]["auc"] <= high


@pytest.mark.parametrize(
    ("backbone", "side", "says"),
    [
        ("deit_tiny_distilled_patch16_224", 32, "one linear layer"),
        ("inception_v3", 32, "cannot see films of 32 pixels"),
    ],
)
def test_a_network_that_cannot_be_taught_is_refused_before_training(backbone, side, says) -> None:
    with pytest.raises(ValueError, match=says):
        build_network(backbone, 2, side, None, 0)
