"""What may be set about training, with its limits; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


def _option(default: float, low: float, high: float, help: str) -> Any:
    return field(default=default, metadata={"min": low, "max": high, "help": help})


@dataclass(frozen=True, slots=True)
class TrainConfig:
    hidden: int = _option(32, 4, 256, "units of the recurrent network")
    epochs: int = _option(
        6, 1, 100, "passes of the recurrent network over the early part of the training time"
    )
    learning_rate: float = _option(3e-3, 1e-5, 0.1, "of the recurrent network (Adam)")
    cards_per_batch: int = _option(64, 1, 4096, "card histories in a batch")
    chunk: int = _option(64, 8, 1024, "events between two truncations of backpropagation through time")
    trees: int = _option(300, 5, 5000, "boosting rounds at most; stopped early on validation")
    depth: int = _option(5, 1, 12, "of each tree")
    tree_rate: float = _option(0.1, 0.001, 1.0, "learning rate of boosting")
    review_share: float = _option(0.015, 0.0001, 0.5, "share of transactions analysts can look at")
    decline_precision: float = _option(0.9, 0.5, 1.0, "precision asked of what is declined at once")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainConfig:
        """Raises ValueError with a sentence for an unknown name, a wrong type or a value out of range."""
        known = {f.name: f for f in fields(cls)}
        if unknown := set(params) - set(known):
            raise ValueError(f"Unknown parameters: {', '.join(sorted(unknown))}.")
        for name, value in params.items():
            whole = known[name].type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise ValueError(f"{name} must be a {'whole ' if whole else ''}number.")
            low, high = known[name].metadata["min"], known[name].metadata["max"]
            if not low <= value <= high:
                raise ValueError(f"{name} must lie between {low} and {high}.")
        return cls(**params)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 8, "epochs": 2, "trees": 30, "depth": 3},
    "demo": {},
    "full": {"hidden": 64, "epochs": 12, "trees": 1000, "tree_rate": 0.05},
}
