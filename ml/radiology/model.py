"""The network: any of timm's, shown one grey channel, with one logit a finding."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import ml.common.torchvision_pair  # noqa: F401  # before timm

import timm  # isort: skip
from ml.common.artefact import Artefact
from ml.radiology.transforms import INTERPOLATIONS, Bytes, Preprocessing
from ml.radiology.weights import Weights, WeightsError

OUTPUTS = ("logits", "mid", "late", "maps")


@dataclass(slots=True)
class Network:
    """A module from float32 (n, 1, side, side) to logits (n, labels), and what it takes to make it again."""

    module: nn.Module
    recipe: dict[str, Any]
    preprocessing: Preprocessing
    head: str
    pretrained: bool = False

    def head_module(self) -> nn.Linear:
        head = self.module.get_submodule(self.head)
        if not isinstance(head, nn.Linear):
            raise TypeError("The network's head is not a linear layer.")
        return head


def build_network(
    backbone: str, n_labels: int, side: int, weights: Weights | None, seed: int,
    *, channels: int = 1, dropout: float = 0.0, drop_path: float = 0.0,
) -> Network:  # fmt: skip
    """From scratch, or from weights made for three channels.

    Raises ValueError for a network timm does not have or that cannot be built so, WeightsError where the
    weights do not fit.
    """
    torch.manual_seed(seed)
    args = dict(weights.args) if weights else {}
    recipe = {"backbone": backbone, "args": args, "n_labels": n_labels, "channels": channels, "side": side}
    module = _create(recipe, dropout, drop_path)
    about = _about(module)
    if weights:
        _load(module, weights, about)
    mean = sum(about["mean"]) / 3 if not weights or weights.mean is None else weights.mean
    std = sum(about["std"]) / 3 if not weights or weights.std is None else weights.std
    named = str(about.get("interpolation", ""))
    preprocessing = Preprocessing(side, mean, std, named if named in INTERPOLATIONS else "bilinear")
    network = Network(module, recipe, preprocessing, str(about["classifier"]), weights is not None)
    _check(network, backbone)
    return network


def _check(network: Network, backbone: str) -> None:
    """What would otherwise show only when hours of training are over. Raises ValueError."""
    side = network.preprocessing.side
    try:
        network.head_module()
        _middle(network.module)
    except (AttributeError, TypeError) as error:
        raise ValueError(
            f"{backbone} does not end in one linear layer, so it cannot be taught findings."
        ) from error
    try:
        with torch.no_grad():
            network.module.eval()(torch.zeros(1, 1, side, side))
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"{backbone} cannot see films of {side} pixels: {error}") from error


def open_network(artefact: Artefact) -> Network:
    """The trained network of an artefact, in evaluation mode."""
    from safetensors.torch import load_file

    meta = artefact.meta
    recipe = meta["network"]
    module = _create(recipe, 0.0, 0.0)
    module.load_state_dict(load_file(artefact.path("weights.safetensors")))
    preprocessing = Preprocessing.from_meta(meta["preprocessing"])
    return Network(module.eval(), dict(recipe), preprocessing, str(_about(module)["classifier"]))


def _create(recipe: dict[str, Any], dropout: float, drop_path: float) -> nn.Module:
    backbone, channels = recipe["backbone"], int(recipe["channels"])
    if not timm.is_model(backbone):
        raise ValueError(f"timm has no network called {backbone!r}.")
    more: dict[str, Any] = {"drop_rate": dropout} if dropout else {}
    if drop_path:
        more["drop_path_rate"] = drop_path
    if timm.get_pretrained_cfg_value(backbone, "fixed_input_size"):
        more["img_size"] = recipe["side"]
    try:
        module = timm.create_model(
            backbone,
            pretrained=False,
            in_chans=channels,
            num_classes=recipe["n_labels"],
            **recipe["args"],
            **more,
        )
    except (TypeError, AssertionError, RuntimeError) as error:
        raise ValueError(f"{backbone} cannot be built with these parameters: {error}") from error
    if channels > 1:
        module.register_forward_pre_hook(_grey_to_each)
    return module


def _grey_to_each(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Every channel of the first layer is shown the same grey."""
    return (given[0].expand(-1, 3, -1, -1),)


def _about(module: nn.Module) -> dict[str, Any]:
    """timm's own description of the network."""
    return dict(module.default_cfg)  # type: ignore[arg-type]


def _load(module: nn.Module, weights: Weights, about: dict[str, Any]) -> None:
    """All but the head. For one channel the first layer's three are added up: grey is the same in each."""
    from safetensors.torch import load_file

    state = load_file(weights.path)
    first = f"{about['first_conv']}.weight"
    if first in state and state[first].shape[1] == 3 and module.get_parameter(first).shape[1] == 1:
        state[first] = state[first].sum(1, keepdim=True)
    for name in [name for name in state if name.startswith(f"{about['classifier']}.")]:
        del state[name]
    try:
        missing, unexpected = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"The weights {weights.path.name} do not fit the network.") from error
    if unexpected or any(not name.startswith(f"{about['classifier']}.") for name in missing):
        raise WeightsError(f"The weights {weights.path.name} are of another network.")


class Served(nn.Module):
    """A network with what explains and gates it: logits, pooled features at two depths, and the last maps.

    `maps` is (n, channels, rows, columns) just before pooling where the head is linear on their mean, so that
    their gradient is the head's own weights; else (n, 0, 1, 1).
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = network.module
        self.seen: dict[str, Tensor] = {}
        head = network.head_module()
        middle = _middle(network.module)
        self.hooks = [
            head.register_forward_pre_hook(lambda _, given: self.seen.update(late=given[0])),
            middle.register_forward_hook(lambda _, given, out: self.seen.update(mid=_pooled(out))),
        ]
        self.linear = self._is_linear(network)

    @torch.no_grad()
    def _is_linear(self, network: Network) -> bool:
        films = torch.rand(2, 1, network.preprocessing.side, network.preprocessing.side)
        logits, head = self.module.eval()(films), network.head_module()
        maps = self._maps(films)
        fits = maps.ndim == 4 and maps.shape[1] == head.in_features
        return fits and torch.allclose(head(maps.mean((2, 3))), logits, atol=1e-4)

    def _maps(self, films: Tensor) -> Tensor:
        for hook in self.module._forward_pre_hooks.values():
            [films] = hook(self.module, (films,))
        maps: Tensor = self.module.forward_features(films)  # type: ignore[operator]
        return maps

    def forward(self, films: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.linear:
            maps = self._maps(films)
            logits = self.module.forward_head(maps)  # type: ignore[operator]
        else:
            logits, maps = self.module(films), films[:, :0, :1, :1]
        return logits, self.seen["mid"], self.seen["late"].flatten(1), maps

    def let_go(self) -> None:
        for hook in self.hooks:
            hook.remove()


def _middle(module: nn.Module) -> nn.Module:
    """The stage half way up, as timm lists them."""
    stages = [stage["module"] for stage in getattr(module, "feature_info", [])]
    if not stages:
        raise ValueError("timm does not say what stages this network has, so its images cannot be gated.")
    return module.get_submodule(stages[len(stages) // 2])


def _pooled(features: Tensor) -> Tensor:
    """(n, d): the mean over places, or over tokens; a stage's mean and spread tell its texture."""
    if features.ndim == 4:
        return torch.cat([features.mean((2, 3)), features.flatten(2).std(2)], 1)
    return features.mean(1)


@torch.no_grad()
def torch_outputs(network: Network, squares: Bytes) -> dict[str, npt.NDArray[np.float32]]:
    """As `ml.radiology.predict.onnx_outputs` of all outputs, by torch itself."""
    served = Served(network).eval()
    found = served(torch.from_numpy(network.preprocessing.normalise(squares)))
    served.let_go()
    return {name: values.numpy() for name, values in zip(OUTPUTS, found, strict=True)}


def onnx_bytes(network: Network) -> bytes:
    """The network as ONNX: from `films` (n, 1, side, side) to `logits`, `mid`, `late` and `maps`, any n."""
    side = network.preprocessing.side
    served = Served(
        Network(network.module.eval(), network.recipe, network.preprocessing, network.head)
    ).eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Tracing takes half a second where torch's newer exporter takes nine, for the same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served, (torch.zeros(2, 1, side, side),), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=17,
            input_names=["films"], output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "n"} for name in ("films", *OUTPUTS)},
        )  # fmt: skip
    served.let_go()
    return buffer.getvalue()
