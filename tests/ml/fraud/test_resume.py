"""A network that was stopped and goes on ends as one that was not, to the last bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import torch

from ml.common.checkpoint import read_checkpoint
from ml.common.contracts import Cancelled, TrainRequest, TrainResult
from ml.fraud.config import PRESETS
from ml.fraud.importing import freeze_frame
from ml.fraud.simulator import simulate
from ml.fraud.train import train

Make = Callable[..., TrainRequest]


@pytest.fixture(scope="module")
def request_for(tmp_path_factory) -> Make:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    history = simulate(n_customers=60, n_terminals=30, n_days=40, start=start, seed=1)
    dataset = tmp_path_factory.mktemp("fraud") / "dataset"
    freeze_frame(history, dataset, "small")
    params = {**PRESETS["tiny"], "trees": 10, "cards_per_batch": 16}

    def make(**changes: object) -> TrainRequest:
        base = tmp_path_factory.mktemp("training")
        (base / "checkpoints").mkdir()
        request = TrainRequest(dataset, base / "output", base / "checkpoints", params, device="cpu")
        return dataclasses.replace(request, **changes)

    return make


@pytest.fixture(scope="module")
def trained(request_for) -> TrainResult:
    return train(request_for(), lambda event: None)


def broken_in(phase: str, request: TrainRequest) -> TrainResult:
    """Stopped within the second epoch of a phase, then resumed."""
    heard = 0

    def stop(event) -> None:
        nonlocal heard
        heard += (event.phase, event.epoch) == (phase, 2)
        if heard == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(request, stop)
    assert not request.output_dir.exists()
    return train(dataclasses.replace(request, resume=True), lambda event: None)


@pytest.mark.parametrize("phase", ["sequence", "ablation"])
def test_it_works(trained, request_for, phase: str) -> None:
    request = request_for()
    assert broken_in(phase, request).artefact_hash == trained.artefact_hash
    # Tensors and plain values: reading it runs nothing.
    assert read_checkpoint(request.checkpoint_dir / "gru0.pt")["epochs_done"] == 2


@pytest.mark.parametrize(
    ("owner", "restores"),
    [(torch.optim.AdamW, "load_state_dict"), (torch, "set_rng_state")],
    ids=["moments", "dropout"],
)
def test_without_what_is_kept_beside_the_weights_it_would_end_otherwise(
    trained, request_for, monkeypatch, owner: object, restores: str
) -> None:
    monkeypatch.setattr(owner, restores, lambda *given: None)
    assert broken_in("sequence", request_for()).artefact_hash != trained.artefact_hash


def test_what_another_training_left_is_passed_over(trained, request_for) -> None:
    request = request_for(seed=5)
    train(request, lambda event: None)
    with_another_seed = dataclasses.replace(request, seed=0, resume=True)
    assert train(with_another_seed, lambda event: None).artefact_hash == trained.artefact_hash
