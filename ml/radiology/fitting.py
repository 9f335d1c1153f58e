"""The training loop: epochs of batches, a checkpoint after each, the best epoch by validation kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.metrics import roc_auc
from ml.common.progress import Ticker
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import Films, augment, in_order, shuffled
from ml.radiology.model import Network

CHECKPOINT = "epoch.pt"
PHASES = ("data", "forward", "backward", "optimizer")
EVAL_BATCH = 64
Ints = npt.NDArray[np.intp]


@dataclass(slots=True)
class TrainState:
    """All that a resumed run needs besides the modules."""

    key: str
    epoch: int = 0  # finished epochs
    best_auc: float = -1.0
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def fit_network(
    network: Network, films: Films, train: Ints, val: Ints, config: TrainConfig, *, seed: int,
    device: str, checkpoint_dir: Path, resume: bool, key: str, progress: ProgressCallback,
) -> list[dict[str, float]]:  # fmt: skip
    """Leaves the best epoch's weights in the network, on the CPU, and returns each epoch's measures."""
    start_at_prevalence(network, films.labels[train])
    cuda = device == "cuda"
    layout = torch.channels_last  # a third faster here on the CPU too
    module = network.module.to(device).to(memory_format=layout)  # type: ignore[call-overload]
    steps = len(shuffled(train, config.batch_size, seed, 0))
    optimizer, schedule = _optimizer(network, config, steps)
    scaler = torch.amp.GradScaler("cuda", enabled=cuda)
    state = TrainState(f"{key} {seed} {config}")
    path = checkpoint_dir / CHECKPOINT
    if resume and path.is_file():
        state = _load(path, state, module, (optimizer, schedule, scaler))
    ticker = Ticker((config.epochs - state.epoch) * len(train))
    for epoch in range(state.epoch, config.epochs):
        if epoch - state.best_epoch >= config.patience:
            break
        torch.manual_seed(seed * 100_003 + epoch)  # dropout; augmentation has its own below
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        clock, losses = _Clock(cuda), []
        module.train()
        for step, rows in enumerate(shuffled(train, config.batch_size, seed, epoch)):
            grey, labels, known = films.batch(rows, device)
            inputs = films.normalise(augment(grey, config.augment, generator) if config.augment else grey)
            inputs = inputs.contiguous(memory_format=layout)
            clock.lap("data")
            with torch.autocast("cuda", enabled=cuda):
                loss = masked_loss(module(inputs), labels, known)
            clock.lap("forward")
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            clock.lap("backward")
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            losses.append(loss.detach())
            clock.lap("optimizer")
            ticker.add(len(rows))
            progress(ProgressEvent("train", epoch=epoch + 1, epochs=config.epochs, step=step + 1, steps=steps, rate=ticker.rate, rate_unit="images", eta_s=ticker.eta_s))  # fmt: skip # noqa: E501
        shares = clock.shares()
        measured = {"train_loss": float(torch.stack(losses).mean()), **_validate(module, films, val, device)}
        if not math.isfinite(measured["train_loss"] + measured["val_loss"]):
            raise ValueError("Training diverged: use a lower learning rate.")
        _remember(state, epoch + 1, measured, module)
        _save(path, state, module, (optimizer, schedule, scaler))
        progress(ProgressEvent("train", epoch=epoch + 1, epochs=config.epochs, step=steps, steps=steps, rate=ticker.rate, rate_unit="images", eta_s=ticker.eta_s, metrics=measured | shares))  # fmt: skip # noqa: E501
    module.load_state_dict(state.best)
    module.to("cpu").to(memory_format=torch.contiguous_format).eval()
    return state.history


def masked_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy over the labels that are known."""
    losses = functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def _optimizer(network: Network, config: TrainConfig, steps: int) -> tuple[Any, Any]:
    """AdamW under one cycle; no decay on norms and biases."""
    parameters = list(network.module.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=steps * config.epochs, pct_start=config.warmup_share
    )
    return optimizer, schedule


def start_at_prevalence(network: Network, labels: npt.NDArray[np.float32]) -> None:
    """The head first answers each finding's prevalence: a random head costs the first epoch."""
    share = np.nanmean(np.concatenate([labels, np.full((1, labels.shape[1]), 0.5, np.float32)]), 0)
    head = network.head_module()
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.from_numpy(np.log(share / (1 - share))))


@torch.no_grad()
def _validate(module: nn.Module, films: Films, rows: Ints, device: str) -> dict[str, float]:
    """val_loss, and val_auc averaged over the findings that have one."""
    module.eval()
    logits, labels, known = [], [], []
    for batch in in_order(rows, EVAL_BATCH):
        grey, truth, there = films.batch(batch, device)
        logits.append(module(films.normalise(grey)).float().cpu())
        labels.append(truth.cpu())
        known.append(there.cpu())
    x, y, k = torch.cat(logits), torch.cat(labels), torch.cat(known)
    aucs = []
    for column in range(x.shape[1]):
        there = k[:, column] > 0
        auc = roc_auc(y[there, column].numpy().astype(int), x[there, column].numpy())
        aucs += [auc] if auc is not None else []
    return {"val_loss": float(masked_loss(x, y, k)), "val_auc": float(np.mean(aucs))}


def _remember(state: TrainState, epoch: int, measured: dict[str, float], module: nn.Module) -> None:
    state.epoch = epoch
    state.history.append(measured)
    if measured["val_auc"] > state.best_auc:
        state.best_auc, state.best_epoch = measured["val_auc"], epoch
        state.best = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def _save(path: Path, state: TrainState, module: nn.Module, movers: tuple[Any, ...]) -> None:
    content = {
        **{name: getattr(state, name) for name in TrainState.__slots__},
        "module": module.state_dict(),
        "movers": [mover.state_dict() for mover in movers],
    }
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _load(path: Path, fresh: TrainState, module: nn.Module, movers: tuple[Any, ...]) -> TrainState:
    """The state at the end of the last whole epoch; a checkpoint of another job is passed over."""
    content: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if content["key"] != fresh.key:
        return fresh
    module.load_state_dict(content["module"])
    for mover, saved in zip(movers, content["movers"], strict=True):
        mover.load_state_dict(saved)
    return TrainState(**{name: content[name] for name in TrainState.__slots__})


class _Clock:
    """Where an epoch's time goes. On a GPU only every eighth step is waited for: waiting costs speed."""

    def __init__(self, cuda: bool) -> None:
        self.cuda, self.laps = cuda, 0
        self.spent = dict.fromkeys(PHASES, 0.0)
        self.last = time.perf_counter()

    def lap(self, phase: str) -> None:
        step = self.laps // len(PHASES)
        self.laps += 1
        watched = not self.cuda or step % 8 == 0
        if self.cuda and (watched or step % 8 == 7):
            torch.cuda.synchronize()
        current = time.perf_counter()
        if watched:
            self.spent[phase] += current - self.last
        self.last = current

    def shares(self) -> dict[str, float]:
        total = sum(self.spent.values()) or 1.0
        return {f"share_{phase}": spent / total for phase, spent in self.spent.items()}
