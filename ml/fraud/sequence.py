"""Train the recurrent network over whole card histories (torch), then hand it over to NumPy.

Its logits are added to the trees' margins before they are judged, so that it learns only what the trees
miss; the margins come from trees that never saw the card, as they would in service.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ml.common.checkpoint import read_checkpoint, write_checkpoint
from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.progress import Ticker
from ml.fraud.config import TrainConfig
from ml.fraud.contracts import Vector
from ml.fraud.features import SEQUENCE
from ml.fraud.rnn import Gru, inputs, side_by_side

Matrix = npt.NDArray[np.float32]
WARM_UP = 0.1


class GruNet(nn.Module):
    def __init__(self, n_inputs: int, hidden: int, head: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.gru = nn.GRU(n_inputs, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.mid = nn.Linear(hidden + n_inputs, head)
        self.out = nn.Linear(head, 1)
        nn.init.zeros_(self.out.weight)  # it begins with nothing to add
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (cards, events) and the hidden state after them."""
        states, last = self.gru(x, hidden)
        seen = self.dropout(torch.cat([states, x], -1))
        return self.out(torch.tanh(self.mid(seen))).squeeze(-1), last


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What every member learns from: tensors of all rows, and each card's rows in time order."""

    x: torch.Tensor
    offset: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    rows_of_cards: list[npt.NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class _Pupil:
    """One network while it learns. What is kept of it after an epoch is all that the next epoch depends on:
    weights, the optimiser's moments, and the generators that dropout draws from."""

    net: GruNet
    optimiser: torch.optim.Optimizer
    file: Path
    key: str

    def save(self, epochs_done: int) -> None:
        write_checkpoint(
            self.file,
            {
                "key": self.key, "epochs_done": epochs_done, "net": self.net.state_dict(),
                "optimiser": self.optimiser.state_dict(), "generator": torch.get_rng_state(),
                "of_card": torch.cuda.get_rng_state() if self._on_card else None,
            },
        )  # fmt: skip

    def restore(self) -> int:
        """How many epochs were done; 0 where there is nothing, or what another training left."""
        if not self.file.is_file():
            return 0
        kept = read_checkpoint(self.file)
        if kept["key"] != self.key:
            return 0
        self.net.load_state_dict(kept["net"])
        self.optimiser.load_state_dict(kept["optimiser"])
        torch.set_rng_state(kept["generator"])
        if self._on_card and kept["of_card"] is not None:
            torch.cuda.set_rng_state(kept["of_card"])
        return int(kept["epochs_done"])

    @property
    def _on_card(self) -> bool:
        return next(self.net.parameters()).is_cuda


def train_gru(
    features: Matrix,
    margins: Vector,
    rows_of_cards: list[npt.NDArray[np.intp]],
    labels: Matrix,
    weights: Matrix,
    config: TrainConfig,
    *,
    seed: int,
    device: str,
    checkpoint_dir: Path,
    resume: bool,
    progress: ProgressCallback,
    columns: Sequence[int] = SEQUENCE,
) -> Gru:
    """Fit what to add to `margins` on the rows whose weight is 1; the others are remembered only.

    A run that is resumed on the CPU ends, bit for bit, as an unbroken one.
    `rows_of_cards` lists each card's rows in time order. What it adds is `config.share` of what fits best,
    the mean of `config.members` networks that began with different weights.
    """
    used = weights > 0
    chosen = np.array(columns, np.intp)
    seen = inputs(features, margins, chosen)
    mean, scale = seen[used].mean(0), 1 / (seen[used].std(0) + 1e-3)
    lesson = _Lesson(
        torch.from_numpy((seen - mean) * scale).to(device), torch.from_numpy(margins).to(device),
        torch.from_numpy(labels).to(device), torch.from_numpy(weights).to(device), rows_of_cards,
    )  # fmt: skip
    ticker = Ticker(total=int(used.sum()) * config.epochs * config.members)
    members = []
    for member in range(config.members):
        torch.manual_seed(seed + member)
        net = GruNet(len(mean), config.hidden, config.head, config.dropout).to(device)
        pupil = _Pupil(
            net,
            torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay),
            checkpoint_dir / f"gru{member}.pt",
            f"{seed} {config} {chosen.tolist()}",
        )

        def done(epoch: int, before: int = member * config.epochs, **told: Any) -> None:
            progress(_event(before + epoch, config.members * config.epochs, ticker, **told))

        _fit(pupil, lesson, config, (seed, member), resume, ticker, done)
        members.append(_to_numpy(net, chosen, mean, scale, config.share))
    return side_by_side(members)


def _fit(
    pupil: _Pupil,
    lesson: _Lesson,
    config: TrainConfig,
    seed: tuple[int, int],
    resume: bool,
    ticker: Ticker,
    progress: Callable[..., None],
) -> None:
    """The epochs that are left; after each all that the next needs is written down."""
    first = pupil.restore() if resume else 0
    ticker.done += first * int((lesson.weight > 0).sum())
    for epoch in range(first, config.epochs):
        batches = list(
            _batches(np.random.default_rng((*seed, epoch)), lesson.rows_of_cards, config.cards_per_batch)
        )
        total, count, rate = 0.0, 0, 0.0
        for number, batch in enumerate(batches):
            rate = config.learning_rate * _pace((epoch + number / len(batches)) / config.epochs)
            for group in pupil.optimiser.param_groups:
                group["lr"] = rate
            hidden = None
            for start in range(0, batch.shape[1], config.chunk):
                loss, size, hidden = _learn(pupil, lesson, batch[:, start : start + config.chunk], hidden)
                total, count = total + loss * size, count + size
                ticker.add(size)
                if size:
                    progress(epoch, learning_rate=rate)
        pupil.save(epoch + 1)
        metrics = {"train_loss": total / max(count, 1)}
        progress(epoch, metrics=metrics, learning_rate=rate, checkpoint=True)


def _learn(
    pupil: _Pupil,
    lesson: _Lesson,
    rows: npt.NDArray[np.intp],
    hidden: torch.Tensor | None,
) -> tuple[float, int, torch.Tensor]:
    """One step on rows (cards, events): mean loss, rows that taught, and the hidden state after them."""
    there = torch.from_numpy(rows >= 0).to(lesson.x.device)
    mask = lesson.weight[rows] * there
    size = int(mask.sum())
    with torch.set_grad_enabled(size > 0):
        logits, hidden = pupil.net(lesson.x[rows] * there.unsqueeze(-1), hidden)
    hidden = hidden.detach()
    if not size:
        return 0.0, 0, hidden
    each = nn.functional.binary_cross_entropy_with_logits(
        logits + lesson.offset[rows], lesson.y[rows], reduction="none"
    )
    loss = (each * mask).sum() / size
    pupil.optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(pupil.net.parameters(), 1.0)
    pupil.optimiser.step()
    return float(loss.detach()), size, hidden


def _pace(done: float) -> float:
    """The share of the learning rate when this share of training is done: soon up, then down on a cosine."""
    if done < WARM_UP:
        return done / WARM_UP + 0.01
    return 0.5 + 0.5 * math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))


def _event(epoch: int, epochs: int, ticker: Ticker, **told: Any) -> ProgressEvent:
    return ProgressEvent(
        "sequence", epoch=epoch + 1, epochs=epochs, rate=ticker.rate, rate_unit="rows",
        eta_s=ticker.eta_s, **told,
    )  # fmt: skip


def _batches(
    rng: np.random.Generator, rows_of_cards: list[npt.NDArray[np.intp]], size: int
) -> Iterator[npt.NDArray[np.intp]]:
    """Row numbers (cards, longest history), -1 where a history has ended.

    Cards are drawn together with others of about their length: padding would cost most of the time.
    """
    order = rng.permutation(len(rows_of_cards))
    order = order[np.argsort([len(rows_of_cards[i]) for i in order], kind="stable")]
    for start in rng.permutation(np.arange(0, len(order), size)):
        histories = [rows_of_cards[i] for i in order[start : start + size]]
        padded = np.full((len(histories), max(map(len, histories))), -1)
        for i, history in enumerate(histories):
            padded[i, : len(history)] = history
        yield padded


def _to_numpy(net: GruNet, columns: npt.NDArray[np.intp], mean: Matrix, scale: Matrix, share: float) -> Gru:
    names = {
        "w_ih": "gru.weight_ih_l0", "w_hh": "gru.weight_hh_l0", "b_ih": "gru.bias_ih_l0",
        "b_hh": "gru.bias_hh_l0", "w_mid": "mid.weight", "b_mid": "mid.bias",
    }  # fmt: skip
    state = {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
    arrays = {ours: state[theirs] for ours, theirs in names.items()}
    out = {"w_out": state["out.weight"][0] * share, "b_out": state["out.bias"] * share}
    return Gru.from_arrays({**arrays, **out, "columns": columns, "mean": mean, "scale": scale})
