"""kill -9 of the training process at random steps: it goes on, and ends as if nothing had been."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from apps.modelops.common.places import checkpoint_folder, dataset_folder
from apps.modelops.datasets.services.datasets import register_dataset
from apps.modelops.jobs.services.control import request_resume
from apps.modelops.jobs.services.jobs import request_training
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import DatasetSnapshot, ModelVersion, TrainingJob
from tests.films import tiny_dataset
from tests.modelops.domain.forks import forking
from tests.modelops.domain.killer import KILL_AT, WORDS

Status = TrainingJob.Status
KILLS = int(os.environ.get("LYNCEUS_SOAK_JOB_KILLS") or 10)  # of each network
PARAMS: dict[str, dict[str, Any]] = {"fraud": {"cards_per_batch": 16}, "radiology": {"batch_size": 16}}
pytestmark = [pytest.mark.usefixtures("child_can_start"), pytest.mark.soak]


@pytest.fixture
def films(site, tmp_path_factory) -> DatasetSnapshot:
    folder = dataset_folder(site, "radiology", "small")
    shutil.copytree(tiny_dataset(tmp_path_factory), folder)
    return register_dataset(site=site, domain="radiology", name="small", folder=folder, summary={})


@pytest.fixture
def payments(site) -> DatasetSnapshot:
    call_command(
        "simulate_transactions", "--name", "small", "--customers", "60", "--terminals", "30", "--days", "40"
    )
    return DatasetSnapshot.objects.get(domain="fraud")


@pytest.fixture
def snapshot(request, site, settings, tmp_path) -> DatasetSnapshot:
    settings.VAR_DIR = tmp_path
    return request.getfixturevalue(request.param)


def asked(snapshot: DatasetSnapshot) -> TrainingJob:
    return request_training(dataset=snapshot, preset="tiny", params=PARAMS[snapshot.domain], seed=3)


def unbroken(snapshot: DatasetSnapshot, words: Path, monkeypatch) -> ModelVersion:
    monkeypatch.setenv(WORDS, str(words))
    asked(snapshot)
    version = run_next()
    assert version is not None
    monkeypatch.delenv(WORDS)
    return version


def killed(job: TrainingJob) -> None:
    """By signal 9, at the word that was chosen; parked where that came three times before a checkpoint."""
    assert run_next() is None
    job.refresh_from_db()
    if job.status == Status.FAILED:
        assert job.error_code == "process_died"
        assert "signal 9 (SIGKILL)" in job.error_message
        assert request_resume(job, by=None)
    else:
        assert job.status == Status.QUEUED


@pytest.mark.parametrize("snapshot", ["films", "payments"], indirect=True)
def test_it_works(snapshot, tmp_path, settings, monkeypatch) -> None:
    whole = unbroken(snapshot, tmp_path / "words", monkeypatch)
    words = (tmp_path / "words").read_text().splitlines()
    seed = random.randrange(10**6)
    places = sorted(random.Random(seed).sample(range(len(words)), KILLS))
    print(f"seed {seed}: killed at {[words[place] for place in places]} of {len(words)} words")  # noqa: T201
    job = asked(snapshot)
    with forking(tmp_path) as folder:
        settings.BASE_DIR = folder
        for place in places:
            monkeypatch.setenv(KILL_AT, words[place])
            killed(job)
        monkeypatch.delenv(KILL_AT)
        version = run_next()
    assert version is not None
    job.refresh_from_db()
    assert (version.job, job.fence) == (job, KILLS + 1)
    assert version.artefact_hash == whole.artefact_hash
    assert not checkpoint_folder(job.pk).exists()
