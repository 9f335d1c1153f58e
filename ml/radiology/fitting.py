"""The training loop: epochs of batches, a checkpoint after each, the best epoch by validation kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.common.contracts import OF_TIME, ProgressCallback, ProgressEvent
from ml.common.metrics import roc_auc
from ml.common.progress import Ticker
from ml.radiology.augment import augment
from ml.radiology.checkpoint import CHECKPOINT, TrainState, load_checkpoint, save_checkpoint
from ml.radiology.clock import Clock
from ml.radiology.config import TrainConfig
from ml.radiology.dataset import Films, in_order, shuffled
from ml.radiology.model import Network
from ml.radiology.schedule import Average, make_optimizer, only_head_learns, set_rate

EVAL_BATCH = 64
MIN_BATCH = 2
LAYOUT = torch.channels_last  # a third faster here on the CPU too
Ints = npt.NDArray[np.intp]


@dataclass(slots=True)
class Run:
    """One training, set up: what every epoch needs."""

    network: Network
    films: Films
    rows: Ints
    config: TrainConfig
    seed: int
    device: str
    optimizer: torch.optim.Optimizer
    average: Average
    ticker: Ticker
    progress: ProgressCallback

    @property
    def head_epochs(self) -> int:
        return min(self.config.head_epochs, self.config.epochs - 1) if self.network.pretrained else 0


def fit_network(
    network: Network, films: Films, train: Ints, val: Ints, config: TrainConfig, *, seed: int,
    device: str, checkpoint_dir: Path, resume: bool, key: str, progress: ProgressCallback,
) -> list[dict[str, float]]:  # fmt: skip
    """Leaves the best epoch's weights in the network, on the CPU, and returns each epoch's measures."""
    start_at_prevalence(network, films.labels[train])
    module = network.module.to(device).to(memory_format=LAYOUT)  # type: ignore[call-overload]
    run = Run(
        network, films, train, config, seed, device, make_optimizer(network, config),
        Average(module, config.averaging), Ticker(config.epochs * len(train)), progress,
    )  # fmt: skip
    state = TrainState(f"{key} {seed} {config}", config.batch_size)
    path, parts = checkpoint_dir / CHECKPOINT, ((module, run.average.module), (run.optimizer,))
    if resume and path.is_file():
        state = load_checkpoint(path, state, *parts)
    if not state.epoch:
        save_checkpoint(path, state, *parts)  # where to go back to if memory does not suffice
    run.ticker = Ticker((config.epochs - state.epoch) * len(train))
    while state.epoch < config.epochs and state.epoch - state.best_epoch < config.patience:
        try:
            measured = _epoch(run, state)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or state.batch_size <= MIN_BATCH:
                raise
            half = max(MIN_BATCH, state.batch_size // 2)
            state = load_checkpoint(path, state, *parts)
            state.batch_size = half
            progress(ProgressEvent("train", message=f"out of memory: going on with batches of {half} films"))
            continue
        measured |= _validate(run.average.module, films, val, device)
        if not math.isfinite(measured["train_loss"] + measured["val_loss"]):
            raise ValueError("Training diverged: use a lower learning rate.")
        _remember(state, measured, run.average.module)
        save_checkpoint(path, state, *parts)
        _tell(run, state.epoch, 0, 0, measured, checkpoint=True)
    module.load_state_dict(state.best)
    module.requires_grad_(True).to("cpu").to(memory_format=torch.contiguous_format).eval()
    return state.history


def _epoch(run: Run, state: TrainState) -> dict[str, float]:
    """One pass over the films: train_loss, and shares of time."""
    epoch, config, module = state.epoch, run.config, run.network.module
    torch.manual_seed(run.seed * 100_003 + epoch)  # dropout; augmentation has its own below
    generator = torch.Generator(run.device).manual_seed(run.seed * 100_003 + epoch)
    batches = shuffled(run.rows, state.batch_size, run.seed, epoch)
    clock, losses = Clock(run.device == "cuda"), []
    only_head_learns(run.network, only=epoch < run.head_epochs)
    for step, rows in enumerate(batches):
        _rate(run, epoch, step / len(batches))
        grey, labels, weights = run.films.batch(rows, run.device)
        grey = augment(grey, config.augment, generator) if config.augment else grey
        inputs = run.films.normalise(grey).contiguous(memory_format=LAYOUT)
        clock.lap("data")
        with half_precision(run.device):
            loss = masked_loss(module(inputs), labels, weights, config.label_smoothing)
        clock.lap("forward")
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clock.lap("backward")
        run.optimizer.step()
        run.average.follow(epoch * len(batches) + step)
        losses.append(loss.detach())
        clock.lap("optimizer")
        run.ticker.add(len(rows))
        _tell(run, epoch + 1, step + 1, len(batches), {})
    return {"train_loss": float(torch.stack(losses).mean()), **clock.parts()}


def _rate(run: Run, epoch: int, share: float) -> None:
    left_out = run.head_epochs
    done = max(0.0, epoch - left_out + share) / (run.config.epochs - left_out)
    set_rate(run.optimizer, run.config.warmup_share if epoch < left_out else done, run.config)


def _tell(
    run: Run, epoch: int, step: int, steps: int, metrics: dict[str, float], *, checkpoint: bool = False
) -> None:
    run.progress(
        ProgressEvent(
            "train", epoch=epoch, epochs=run.config.epochs, step=step or None, steps=steps or None,
            rate=run.ticker.rate, rate_unit="images", eta_s=run.ticker.eta_s, metrics=metrics,
            learning_rate=max(group["lr"] for group in run.optimizer.param_groups), checkpoint=checkpoint,
        )
    )  # fmt: skip


def half_precision(device: str) -> torch.autocast:
    """bfloat16 where a graphics card has it: its range is float32's, so no loss needs scaling."""
    has = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast("cuda", torch.bfloat16, enabled=has)


def out_of_memory(error: BaseException) -> bool:
    """A graphics card's, or the CPU allocator's, which has no exception of its own."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said


def masked_loss(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy, the mean by `weights` (0 for what is unknown), each label held `smoothing` less
    than certain."""
    wanted = labels * (1 - smoothing) + smoothing / 2
    losses = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1)


def start_at_prevalence(network: Network, labels: npt.NDArray[np.float32]) -> None:
    """The head first answers each finding's prevalence: a random head costs the first epoch."""
    share = np.nanmean(np.concatenate([labels, np.full((1, labels.shape[1]), 0.5, np.float32)]), 0)
    head = network.head_module()
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.from_numpy(np.log(share / (1 - share))))


@torch.no_grad()
def _validate(module: nn.Module, films: Films, rows: Ints, device: str) -> dict[str, float]:
    """val_loss, and val_auc averaged over the findings that have one; a half where none has."""
    logits, labels, weights = [], [], []
    for batch in in_order(rows, EVAL_BATCH):
        grey, truth, heavy = films.batch(batch, device)
        logits.append(module(films.normalise(grey)).float().cpu())
        labels.append(truth.cpu())
        weights.append(heavy.cpu())
    x, y, w = torch.cat(logits), torch.cat(labels), torch.cat(weights)
    aucs = []
    for column in range(x.shape[1]):
        there = w[:, column] > 0
        auc = roc_auc(y[there, column].numpy().astype(int), x[there, column].numpy())
        aucs += [auc] if auc is not None else []
    return {"val_loss": float(masked_loss(x, y, w)), "val_auc": float(np.mean(aucs)) if aucs else 0.5}


def _remember(state: TrainState, measured: dict[str, float], module: nn.Module) -> None:
    state.epoch += 1
    state.history.append({name: v for name, v in measured.items() if not name.startswith(OF_TIME)})
    if measured["val_auc"] > state.best_auc:
        state.best_auc, state.best_epoch = measured["val_auc"], state.epoch
        state.best = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
