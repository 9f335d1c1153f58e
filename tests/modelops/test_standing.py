"""The sentence about a job says only what its numbers bear out."""

from __future__ import annotations

import pytest

from apps.modelops.jobs.standing import sentence_of
from apps.modelops.models import TrainingJob
from apps.modelops.registry import domain_named


def says(losses: list[float], name: str = "val_loss", status: str = "running") -> str:
    job = TrainingJob(status=status, progress={"phase": "train", "epoch": len(losses)})
    curves = {"train": {name: [[i + 1, loss] for i, loss in enumerate(losses)]}} if losses else {}
    return sentence_of(job, domain_named("testing"), curves, 0)


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        (
            [0.5, 0.4, 0.45, 0.5],
            "Validation loss stopped falling at epoch 2: it was 0.4 there and 0.5 at epoch 4.",
        ),
        ([0.5, 0.4, 0.45], "Validation loss was lowest at epoch 2 (0.4)."),
        ([0.5, 0.4, 0.3], "Validation loss is still falling: 0.3 at epoch 3 is the lowest so far."),
        ([0.5], "Validation loss is 0.5 after epoch 1."),
        ([], "At work on: learning."),
    ],
)  # fmt: skip
def test_validation(dataset, losses, sentence) -> None:
    assert says(losses) == sentence


def of_both(train: list[float], val: list[float]) -> str:
    curves = {
        "train": {
            "train_loss": [[i + 1, loss] for i, loss in enumerate(train)],
            "val_loss": [[i + 1, loss] for i, loss in enumerate(val)],
        }
    }
    job = TrainingJob(status="running", progress={"phase": "train", "epoch": len(val)})
    return sentence_of(job, domain_named("testing"), curves, 0)


def test_overfitting_is_called_by_its_name(dataset) -> None:
    falling, rising = [0.6, 0.5, 0.3, 0.2], [0.6, 0.5, 0.55, 0.7]
    said = of_both(falling, rising)
    assert "stopped falling at epoch 2" in said
    assert "Training loss fell on from 0.5 to 0.2: it is overfitting" in said
    # A validation that only rests, or a training that rests too, is none.
    assert "overfitting" not in of_both(falling, [0.6, 0.5, 0.505, 0.502])
    assert "overfitting" not in of_both([0.6, 0.5, 0.5, 0.49], rising)


def test_a_loss_that_never_falls_is_called_so(dataset) -> None:
    said = of_both([0.69, 0.7, 0.69, 0.689], [0.7, 0.69, 0.69, 0.7])
    assert said.startswith("Nothing is learnt: training loss was 0.69 at first and is 0.689 at epoch 4.")
    assert "Nothing" not in of_both([0.69, 0.7, 0.69], [0.7, 0.69, 0.69])
    assert "Nothing" not in of_both([0.69, 0.68, 0.69, 0.69], [0.7, 0.69, 0.69, 0.7])


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        ([1.0, 0.5], "Training loss fell: 1 at epoch 1, 0.5 at epoch 2."),
        ([0.5, 0.6], "Training loss did not fall: 0.5 at epoch 1, 0.6 at epoch 2."),
        ([0.5], "At work on: learning."),
    ],
)
def test_training_alone(dataset, losses, sentence) -> None:
    assert says(losses, "train_loss") == sentence


def test_what_is_over_does_not_improve_still(dataset) -> None:
    assert "still" not in says([0.5, 0.4, 0.3], status="succeeded")
    assert "lowest at epoch 3" in says([0.5, 0.4, 0.3], status="succeeded")


def test_a_cancelled_job_says_how_far_it_was(dataset) -> None:
    job = TrainingJob(status="cancelled", progress={"phase": "train", "epoch": 2, "epochs": 9})
    assert sentence_of(job, domain_named("testing"), {}, 0) == "It was cancelled at learning, epoch 2 of 9."
    job.progress = {}
    assert sentence_of(job, domain_named("testing"), {}, 0) == "It was cancelled before it began to learn."
