"""What may be set about training, with its limits; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.common.control import control_option
from ml.common.options import choice, from_params, named, option

AUTO = "auto"
PREFERRED = ("mobilenetv2_100", "resnet10t", "resnet18", "efficientnet_b0", "densenet121")
FROM_SCRATCH = "resnet10t"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    backbone: str = named(
        AUTO, r"[a-z0-9_]{2,60}", "any timm network by name; auto goes by the weights there are"
    )
    channels: str = choice("1", ("1", "3"), "of the first layer; 3 shows the grey film to each of three")
    image_size: int = option(224, 32, 512, "side in pixels of what the network sees")
    epochs: int = option(12, 1, 200, "passes over the training films")
    head_epochs: int = option(1, 0, 20, "first epochs in which only the head of a pretrained network learns")
    batch_size: int = option(32, 2, 512, "films in a batch; halved by itself where memory does not suffice")
    learning_rate: float = option(1e-3, 1e-6, 1e-1, "highest, of AdamW, falling along a cosine")
    first_layer_rate: float = option(
        0.2, 1e-3, 1.0, "share of that rate at a pretrained network's first layer"
    )
    scratch_rate: float = option(6.0, 1.0, 100.0, "times that rate where there are no weights to start from")
    weight_decay: float = option(0.02, 0.0, 1.0, "of AdamW")
    warmup_share: float = option(0.1, 0.0, 0.9, "share of the steps in which the learning rate rises")
    averaging: float = option(
        0.98, 0.0, 0.9999, "decay of the moving average of weights that serves; 0 for none"
    )
    label_smoothing: float = option(0.02, 0.0, 0.4, "share of each label's certainty that is withheld")
    dropout: float = option(0.0, 0.0, 0.9, "before the head")
    drop_path: float = option(0.0, 0.0, 0.9, "share of residual paths left out, where the network has them")
    augment: float = option(
        0.3, 0.0, 3.0, "strength of turning, zooming, shifting, lighting, noise; 0 for none"
    )
    patience: int = option(4, 1, 100, "epochs without a better validation before training stops")
    folds: int = option(1, 1, 10, "of a cross-validation by patient before the training; 1 for none")
    target_sensitivity: float = option(
        0.9, 0.5, 0.999, "sensitivity each operating point must be sure to reach"
    )
    variants: str = choice(
        "int8", ("int8", "none"), "a lighter form made and judged beside the full one; none for none"
    )
    control: str = control_option()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainConfig:
        """Raises ValueError with a sentence for an unknown name, a wrong type or a value out of range."""
        return from_params(cls, params)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "backbone": "resnet10t",
        "image_size": 48,
        "epochs": 2,
        "target_sensitivity": 0.5,
        "variants": "none",
    },
    "demo": {"image_size": 64, "epochs": 24, "patience": 8, "target_sensitivity": 0.8},
    # What validation chose on PneumoniaMNIST (benchmarks/radiology_pneumonia.py).
    "full": {
        "epochs": 14,
        "patience": 14,
        "augment": 1.5,
        "dropout": 0.3,
        "label_smoothing": 0.05,
        "weight_decay": 0.05,
        "averaging": 0.99,
        "target_sensitivity": 0.95,
    },
}
