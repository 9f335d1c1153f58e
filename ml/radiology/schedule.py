"""How fast each layer learns at each moment, and the average of the weights that serves."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from ml.radiology.config import TrainConfig
from ml.radiology.model import Network


def make_optimizer(network: Network, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW, a group a layer: `scale` is its share of the rate, geometric from the first layer to the head.

    No weight decay on norms and biases.
    """
    depths = _depths(network.module)
    deepest = max(depths.values()) or 1
    lowest = config.first_layer_rate if network.pretrained else 1.0
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in network.module.named_parameters():
        groups.setdefault((depths[name], parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay if decays else 0.0,
                "scale": lowest ** (1 - depth / deepest),
            }
            for (depth, decays), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=next(network.module.parameters()).is_cuda,  # there a group is one step, and there are many
    )


def _depths(module: nn.Module) -> dict[str, int]:
    """Each parameter's layer, 0 for the first, as timm numbers them; all alike where it does not."""
    from timm.models import group_parameters

    if not hasattr(module, "group_matcher"):
        return {name: 0 for name, _ in module.named_parameters()}
    matcher: Any = module.group_matcher
    return dict(group_parameters(module, matcher(coarse=False), reverse=True))


def set_rate(optimizer: torch.optim.Optimizer, share: float, config: TrainConfig) -> None:
    """`share` 0..1 of the training is done: rise in a line, then fall along half a cosine to nothing."""
    if share < config.warmup_share:
        now = (share + 1e-3) / (config.warmup_share + 1e-3)
    else:
        now = 0.5 * (1 + math.cos(math.pi * (share - config.warmup_share) / (1 - config.warmup_share)))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * now * group["scale"]


def only_head_learns(network: Network, only: bool) -> None:
    """A random head would drag the pretrained layers with it: they wait until it says something."""
    for parameter in network.module.parameters():
        parameter.requires_grad_(not only)
    network.head_module().requires_grad_(True)
    network.module.train(not only)  # norms keep the statistics they came with, too


class Average:
    """An exponential moving average of weights and statistics: it validates, and its best epoch serves."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        # Listed once, and moved all at once: one by one they would cost a graphics card as much as the step.
        pairs = list(zip(_numbers(self.module), _numbers(module), strict=True))
        self._moving = _apart([pair for pair in pairs if pair[0].is_floating_point()])
        self._counting = _apart([pair for pair in pairs if not pair[0].is_floating_point()])

    @torch.no_grad()
    def follow(self, steps: int) -> None:
        """`steps` taken so far; the first ones count for more, or the start would weigh on a short run."""
        share = 1 - min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(*self._moving, share)
        if self._counting[0]:  # batches that norms have seen; not every network has such
            torch._foreach_copy_(*self._counting)


def _numbers(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


def _apart(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]
