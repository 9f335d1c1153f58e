"""What may be set about training, with its limits; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.common.control import control_option
from ml.common.options import from_params, option


@dataclass(frozen=True, slots=True)
class TrainConfig:
    hidden: int = option(32, 4, 256, "units of the recurrent network")
    head: int = option(16, 2, 256, "units of the layer that reads the network's state")
    members: int = option(1, 1, 8, "networks, begun with different weights, whose mean is taken")
    epochs: int = option(10, 1, 100, "passes of the recurrent network over the training time")
    learning_rate: float = option(5e-3, 1e-5, 0.1, "of the recurrent network (AdamW), falling to nothing")
    weight_decay: float = option(0.1, 0.0, 10.0, "of the recurrent network")
    dropout: float = option(0.3, 0.0, 0.9, "share of the network's state and input hidden while it learns")
    share: float = option(0.75, 0.05, 1.0, "of what the network would add to the trees, what it may")
    cards_per_batch: int = option(64, 1, 4096, "card histories in a batch")
    chunk: int = option(64, 8, 1024, "events between two truncations of backpropagation through time")
    trees: int = option(400, 5, 5000, "boosting rounds at most; stopped early on validation")
    depth: int = option(6, 1, 12, "of each tree")
    tree_rate: float = option(0.05, 0.001, 1.0, "learning rate of boosting")
    review_share: float = option(0.015, 0.0001, 0.5, "share of transactions analysts can look at")
    decline_precision: float = option(0.9, 0.5, 1.0, "precision asked of what is declined at once")
    control: str = control_option()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainConfig:
        """Raises ValueError with a sentence for an unknown name, a wrong type or a value out of range."""
        return from_params(cls, params)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 8, "head": 8, "epochs": 2, "trees": 30, "depth": 3, "tree_rate": 0.1},
    "demo": {},
    "full": {"members": 2, "epochs": 15, "trees": 1000, "depth": 7, "tree_rate": 0.04},
}
