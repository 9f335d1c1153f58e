"""What may be set about training, with its limits; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.common.options import choice, from_params, option

AUTO = "auto"
BACKBONES = ("mobilenetv2_100", "resnet10t", "resnet18", "efficientnet_b0", "densenet121")
FROM_SCRATCH = "resnet10t"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    backbone: str = choice(AUTO, (AUTO, *BACKBONES), "timm's name; auto goes by the weights there are")
    image_size: int = option(224, 32, 512, "side in pixels of what the network sees")
    epochs: int = option(12, 1, 200, "passes over the training films")
    batch_size: int = option(32, 2, 512, "films in a batch")
    learning_rate: float = option(1e-3, 1e-6, 1e-1, "highest, of AdamW under a one-cycle schedule")
    scratch_rate: float = option(6.0, 1.0, 100.0, "times that rate where there are no weights to start from")
    weight_decay: float = option(0.02, 0.0, 1.0, "of AdamW")
    warmup_share: float = option(0.1, 0.0, 0.9, "share of the steps in which the learning rate rises")
    augment: float = option(0.3, 0.0, 3.0, "strength of turning, zooming, shifting and lighting; 0 for none")
    patience: int = option(4, 1, 100, "epochs without a better validation before training stops")
    target_sensitivity: float = option(0.9, 0.5, 1.0, "sensitivity each operating point is set for")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainConfig:
        """Raises ValueError with a sentence for an unknown name, a wrong type or a value out of range."""
        return from_params(cls, params)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"backbone": "resnet10t", "image_size": 48, "epochs": 2},
    "demo": {"image_size": 64, "epochs": 24, "patience": 8},
    "full": {"epochs": 30, "augment": 1.0, "patience": 8},
}
