"""A film model at the gate: a good one passes, one that learnt from shuffled labels does not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.common.contracts import TrainRequest
from ml.common.gate import LOCKED, Contender, GateReport, GateRequest
from ml.radiology import train as train_module
from ml.radiology.config import PRESETS
from ml.radiology.gate_evidence import gate
from ml.radiology.importing import Dataset

N, SIDE = 240, 48
PARTS = ("train", "train", "val", "gate", "train", "test")  # by patient, of two films each


def freeze(folder: Path, *, shuffled: bool = False, parts: tuple[str, ...] = PARTS) -> Path:
    """Squares that are bright in a corner where the finding is present: seen after a moment's teaching."""
    rng = np.random.default_rng(7)
    present = rng.integers(0, 2, N).astype(np.float32)
    pixels = rng.integers(0, 60, (N, SIDE, SIDE)).astype(np.uint8)
    pixels[present == 1, : SIDE // 2, : SIDE // 2] += 150
    split = np.array([parts[i // 2 % len(parts)] for i in range(N)])
    if shuffled:
        rows = np.flatnonzero(np.isin(split, ("train", "val")))
        present[rows] = _shuffled(present[rows], rng)
    table = pd.DataFrame(
        {
            "file": [f"{i}.png" for i in range(N)], "patient_id": [f"p{i // 2}" for i in range(N)],
            "finding:Bright": present, "meta:sex": ["M", "F"] * (N // 2), "meta:age": "50", "split": split,
            "offset": np.arange(N) * SIDE * SIDE, "rows": SIDE, "columns": SIDE,
            "pixel_sha256": [hashlib.sha256(one.tobytes()).hexdigest() for one in pixels],
        }
    )  # fmt: skip
    folder.mkdir(parents=True)
    table.to_parquet(folder / "films.parquet", index=False)
    (folder / "pixels.bin").write_bytes(pixels.tobytes())
    hashes = {
        f"{name}_sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for name, file in (("films", "films.parquet"), ("pixels", "pixels.bin"))
    }
    (folder / "manifest.json").write_text(json.dumps({"name": "bright", "labels": ["Bright"], **hashes}))
    return folder


def _shuffled(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By chance more than half may stay as they were, and one sign is all there is to learn here."""
    found = rng.permutation(labels)
    while np.mean(found == labels) > 0.48:
        found = rng.permutation(labels)
    return found


def train_on(dataset: Path, base: Path) -> Contender:
    (base / "checkpoints").mkdir(parents=True)
    params = {**PRESETS["tiny"], "epochs": 5}
    request = TrainRequest(dataset, base / "output", base / "checkpoints", params, device="cpu")
    made = train_module.train(request, lambda event: None)
    return Contender(made.artefact_dir, made.artefact_hash, dataset)


@pytest.fixture(scope="module")
def contenders(tmp_path_factory) -> Mapping[str, Contender]:
    base = tmp_path_factory.mktemp("gate")
    datasets = {"good": freeze(base / "g"), "bad": freeze(base / "b", shuffled=True)}
    return {name: train_on(dataset, base / name) for name, dataset in datasets.items()}


def held(candidate: Contender, champion: Contender | None) -> GateReport:
    return gate(GateRequest(candidate, champion, latency_ms=1e9, slower_percent=1e9), lambda event: None)


def by_name(report: GateReport):
    return {line.name: line for line in report.lines}


def test_a_good_one_passes_and_one_of_shuffled_labels_does_not(contenders) -> None:
    report = held(contenders["good"], contenders["bad"])
    assert report.passed, report.lines
    lines = {"golden", "locked_part", "findings", "auc", "finding:Bright", "subgroup:sex female", "latency"}
    assert lines <= set(by_name(report))
    assert by_name(report)["auc"].low > 0.1
    report = held(contenders["bad"], contenders["good"])
    assert not report.passed
    lines = by_name(report)
    assert {"auc", "finding:Bright"} <= {name for name, line in lines.items() if not line.passed}
    assert lines["golden"].passed
    # One no better than chance is refused beside its like.
    assert not by_name(held(contenders["bad"], contenders["bad"]))["chance"].passed
    assert "worse" in lines["auc"].sentence


def test_alone_it_must_be_better_than_chance(contenders) -> None:
    assert held(contenders["good"], None).passed
    assert [line.name for line in held(contenders["bad"], None).lines if not line.passed] == ["auc"]


def test_what_taught_either_does_not_judge(contenders, tmp_path) -> None:
    good = contenders["good"]
    whole = held(good, None)
    # The champion learnt from all of them.
    turned = ("train", "gate", "val", "train", "gate", "test")
    other = dataclasses.replace(contenders["bad"], dataset_dir=freeze(tmp_path / "o", parts=turned))
    report = held(good, other)
    assert (report.n, report.n_left_out, report.passed) == (0, 0, False)
    assert "taught the candidate or the champion" in by_name(report)["locked_part"].sentence
    assert whole.n > 0


def test_without_a_locked_part_it_says_what_to_do(contenders, tmp_path) -> None:
    parts = ("train", "val", "test")
    unlocked = dataclasses.replace(contenders["good"], dataset_dir=freeze(tmp_path / "u", parts=parts))
    report = held(unlocked, None)
    assert not report.passed
    assert "freeze a dataset with a locked part" in by_name(report)["locked_part"].sentence


def test_an_artefact_that_answers_otherwise_is_refused(contenders, tmp_path) -> None:
    altered = dataclasses.replace(contenders["good"], artefact_hash="0" * 64)
    report = held(altered, None)
    assert [line.name for line in report.lines if not line.passed] == ["golden"]
    # A champion like that serves nobody: the candidate is judged alone.
    report = held(contenders["good"], altered)
    assert report.passed
    assert "judged alone" in by_name(report)["champion"].sentence


class Seen(Exception):
    """What the trainer was about to look at."""


@pytest.fixture
def looked_at(monkeypatch, contenders, tmp_path):
    """The films that reach the first thing the trainer does with films."""

    def spy(dataset: Dataset, *args: object) -> None:
        raise Seen(dataset)

    def look() -> Dataset:
        monkeypatch.setattr(train_module, "prepare", spy)
        with pytest.raises(Seen) as caught:
            train_on(contenders["good"].dataset_dir, tmp_path / "again")
        return caught.value.args[0]

    return look


def test_a_trainer_reads_nothing_of_the_locked_part(looked_at) -> None:
    seen = looked_at()
    assert LOCKED not in set(seen.table["split"])
    assert len(seen.table) == len(seen.labels) == len(seen.weights) == len(seen.places) < N


def test_without_the_guard_it_would(looked_at, monkeypatch) -> None:
    monkeypatch.setattr(Dataset, "taught", lambda whole: whole)
    assert LOCKED in set(looked_at().table["split"])
