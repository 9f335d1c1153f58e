"""All that a run needs to go on where it stopped, written whole after each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ml.common.checkpoint import read_checkpoint, write_checkpoint

CHECKPOINT = "epoch.pt"


@dataclass(slots=True)
class TrainState:
    """All that a resumed run needs besides the modules."""

    key: str
    batch_size: int
    epoch: int = 0  # finished epochs
    best_auc: float = -1.0
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def save_checkpoint(
    path: Path, state: TrainState, modules: tuple[nn.Module, ...], movers: tuple[Any, ...]
) -> None:
    content = {
        **{name: getattr(state, name) for name in TrainState.__slots__},
        "modules": [module.state_dict() for module in modules],
        "movers": [mover.state_dict() for mover in movers],
    }
    write_checkpoint(path, content)


def load_checkpoint(
    path: Path, fresh: TrainState, modules: tuple[nn.Module, ...], movers: tuple[Any, ...]
) -> TrainState:
    """The state at the end of the last whole epoch; a checkpoint of another job is passed over."""
    content = read_checkpoint(path)
    if content["key"] != fresh.key:
        return fresh
    for part, saved in ((modules, content["modules"]), (movers, content["movers"])):
        for one, its in zip(part, saved, strict=True):
            one.load_state_dict(its)
    return TrainState(**{name: content[name] for name in TrainState.__slots__})
