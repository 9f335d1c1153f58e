"""The network: one of timm's, taking one grey channel, with one logit a finding."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import ml.common.torchvision_pair  # noqa: F401  # before timm

import timm  # isort: skip
from ml.common.artefact import Artefact
from ml.radiology.transforms import Preprocessing
from ml.radiology.weights import Weights, WeightsError


@dataclass(slots=True)
class Network:
    """A module from float32 (n, 1, side, side) to logits (n, labels), and what it takes to make it again."""

    module: nn.Module
    recipe: dict[str, Any]
    preprocessing: Preprocessing
    head: str

    def head_module(self) -> nn.Linear:
        head = self.module.get_submodule(self.head)
        if not isinstance(head, nn.Linear):
            raise TypeError("The network's head is not a linear layer.")
        return head


def build_network(backbone: str, n_labels: int, side: int, weights: Weights | None, seed: int) -> Network:
    """From scratch, or from weights made for three channels. Raises WeightsError where they do not fit."""
    torch.manual_seed(seed)
    args = dict(weights.args) if weights else {}
    module = timm.create_model(backbone, pretrained=False, in_chans=1, num_classes=n_labels, **args)
    about = _about(module)
    if weights:
        _load(module, weights, about)
    mean = sum(about["mean"]) / 3 if not weights or weights.mean is None else weights.mean
    std = sum(about["std"]) / 3 if not weights or weights.std is None else weights.std
    recipe = {"backbone": backbone, "args": args, "n_labels": n_labels}
    return Network(module, recipe, Preprocessing(side, mean, std), str(about["classifier"]))


def open_network(artefact: Artefact) -> Network:
    """The trained network of an artefact, in evaluation mode."""
    from safetensors.torch import load_file

    meta = artefact.meta
    recipe = meta["network"]
    module = timm.create_model(
        recipe["backbone"], pretrained=False, in_chans=1, num_classes=recipe["n_labels"], **recipe["args"]
    )
    module.load_state_dict(load_file(artefact.path("weights.safetensors")))
    preprocessing = Preprocessing.from_meta(meta["preprocessing"])
    return Network(module.eval(), dict(recipe), preprocessing, str(_about(module)["classifier"]))


def _about(module: nn.Module) -> dict[str, Any]:
    """timm's own description of the network."""
    return dict(module.default_cfg)  # type: ignore[arg-type]


def _load(module: nn.Module, weights: Weights, about: dict[str, Any]) -> None:
    """All but the head. Grey is the same in every channel, so the first layer's channels are added up."""
    from safetensors.torch import load_file

    state = load_file(weights.path)
    first = f"{about['first_conv']}.weight"
    if first in state and state[first].shape[1] == 3:
        state[first] = state[first].sum(1, keepdim=True)
    for name in [name for name in state if name.startswith(f"{about['classifier']}.")]:
        del state[name]
    try:
        missing, unexpected = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"The weights {weights.path.name} do not fit the network.") from error
    if unexpected or any(not name.startswith(f"{about['classifier']}.") for name in missing):
        raise WeightsError(f"The weights {weights.path.name} are of another network.")


def onnx_bytes(network: Network) -> bytes:
    """The network as ONNX: input `films` (n, 1, side, side), output `logits` (n, labels), any n."""
    side = network.preprocessing.side
    module = network.module.eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Tracing takes half a second where torch's newer exporter takes nine, for the same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(2, 1, side, side),), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=17,
            input_names=["films"], output_names=["logits"],
            dynamic_axes={"films": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
    return buffer.getvalue()
