"""A fraud model at the gate: a good one passes, one that learnt from shuffled labels does not."""

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
from ml.common.control import SHUFFLED
from ml.common.gate import LOCKED, Contender, GateReport, GateRequest
from ml.fraud import fitting, gate_evidence
from ml.fraud import train as train_module
from ml.fraud.config import PRESETS
from ml.fraud.evaluate import card_precision
from ml.fraud.gate_evidence import gate
from ml.fraud.importing import freeze_frame, load_frozen


def freeze(history: pd.DataFrame, folder: Path, *, locked: str = "test") -> Path:
    """The later half of one part is locked."""
    freeze_frame(history, folder, "gate")
    frame = pd.read_parquet(folder / "events.parquet")
    part = frame["split"] == locked
    frame.loc[part & (frame["occurred_at"] > frame.loc[part, "occurred_at"].quantile(0.4)), "split"] = LOCKED
    return rewritten(folder, frame)


def rewritten(folder: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(folder / "events.parquet", index=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["events_sha256"] = hashlib.sha256((folder / "events.parquet").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def train_on(dataset: Path, base: Path, **changed: object) -> Contender:
    (base / "checkpoints").mkdir(parents=True)
    params = {**PRESETS["tiny"], "epochs": 1, "trees": 10, **changed}
    made = train_module.train(
        TrainRequest(dataset, base / "output", base / "checkpoints", params, device="cpu"), lambda event: None
    )
    return Contender(made.artefact_dir, made.artefact_hash, dataset)


@pytest.fixture(scope="module")
def contenders(history, trained, tmp_path_factory) -> Mapping[str, Contender]:
    """The good one is the small model of the other tests: it has seen none of the locked days."""
    base = tmp_path_factory.mktemp("gate")
    dataset = freeze(history, base / "g")
    bad = train_on(dataset, base / "bad", control=SHUFFLED)
    good = Contender(trained.artefact_dir, trained.artefact_hash, dataset)
    return {"good": good, "bad": bad}


def held(candidate: Contender, champion: Contender | None) -> GateReport:
    return gate(GateRequest(candidate, champion, latency_ms=1e9, slower_percent=1e9), lambda event: None)


def by_name(report: GateReport):
    return {line.name: line for line in report.lines}


def test_a_good_one_passes_and_one_of_shuffled_labels_does_not(contenders) -> None:
    report = held(contenders["good"], contenders["bad"])
    assert report.passed, report.lines
    assert {"golden", "locked_part", "ap", "card_precision", "part:larger amounts", "latency"} <= set(
        by_name(report)
    )
    assert by_name(report)["ap"].low > 0.1
    lines = by_name(held(contenders["bad"], contenders["good"]))
    assert {"ap", "part:larger amounts"} <= {name for name, line in lines.items() if not line.passed}
    assert lines["golden"].passed


def test_alone_it_must_be_better_than_chance(contenders) -> None:
    assert held(contenders["good"], None).passed


def test_what_taught_the_champion_does_not_judge(contenders, history, tmp_path) -> None:
    good = contenders["good"]
    other = freeze(history, tmp_path / "o")
    frame, _ = load_frozen(other)
    rows = np.flatnonzero(frame["split"] == LOCKED)
    frame.loc[rows[: len(rows) // 2], "split"] = "train"
    request = GateRequest(good, dataclasses.replace(good, dataset_dir=other), 1e9, 1e9)
    frozen, _ = load_frozen(good.dataset_dir)
    load = {good.dataset_dir: frozen, other: frame}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_evidence, "load_frozen", lambda folder: (load[folder], "UTC"))
        taught = gate_evidence._taught(frozen, request)
    assert taught[rows].sum() == len(rows) // 2


def test_without_a_locked_part_it_says_what_to_do(contenders, history, tmp_path) -> None:
    freeze_frame(history[:2000], tmp_path / "u", "unlocked")
    frame = pd.read_parquet(tmp_path / "u" / "events.parquet")
    rewritten(tmp_path / "u", frame.assign(split=frame["split"].replace(LOCKED, "gap")))
    report = held(dataclasses.replace(contenders["good"], dataset_dir=tmp_path / "u"), None)
    assert not report.passed
    assert "freeze a dataset with a locked part" in by_name(report)["locked_part"].sentence


def test_card_precision_is_the_one_that_is_measured_elsewhere(history) -> None:
    frame = history[history["fraud"].notna()].iloc[:3000]
    scores = np.random.default_rng(1).random(len(frame)) + 0.3 * frame["fraud"].to_numpy(float)
    ours = gate_evidence._Precisions(frame, scores, {})
    assert ours.whole(np.arange(len(frame)))["card_precision"] == pytest.approx(card_precision(frame, scores))


class Seen(Exception):
    """What the trainer was about to look at."""


@pytest.fixture
def looked_at(monkeypatch, contenders, tmp_path):
    """The payments that reach the first thing the trainer does with payments."""

    def spy(frame: pd.DataFrame, progress: object) -> None:
        raise Seen(frame)

    def look() -> pd.DataFrame:
        monkeypatch.setattr(fitting, "replay_features", spy)
        with pytest.raises(Seen) as caught:
            train_on(contenders["good"].dataset_dir, tmp_path / "again")
        return caught.value.args[0]

    return look


def test_a_trainer_reads_nothing_of_the_locked_part(looked_at) -> None:
    assert LOCKED not in set(looked_at()["split"])


def test_without_the_guard_it_would(looked_at, monkeypatch) -> None:
    monkeypatch.setattr(train_module, "taught", lambda frame: frame)
    assert LOCKED in set(looked_at()["split"])
