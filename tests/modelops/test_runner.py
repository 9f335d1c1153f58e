"""Training runs in a real subprocess: it succeeds, fails with a sentence, resumes, is cancelled."""

from __future__ import annotations

import dataclasses
import errno
import json

import pytest
from django.core.management import CommandError, call_command

from apps.core.errors import LynceusError
from apps.modelops.common.places import checkpoint_folder, half_made, scratch_folder
from apps.modelops.common.selectors import artefact_dir, champion, curves_of, events_of
from apps.modelops.jobs.services import jobs, runner
from apps.modelops.jobs.services.control import request_cancel
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.management.commands import train
from apps.modelops.models import ModelVersion, TrainingJob
from apps.modelops.promotion.services.promotion import install_first_champion
from ml.common.artefact import open_artefact, write_artefact
from tests.promoting import put_in_service

Status = TrainingJob.Status
pytestmark = pytest.mark.usefixtures("child_can_start")


def test_a_job_becomes_a_version(make_job) -> None:
    job = make_job()
    heard = []
    version = run_next(listener=heard.append)
    job.refresh_from_db()
    assert (job.status, version.number, version.job) == (Status.SUCCEEDED, 1, job)
    assert open_artefact(artefact_dir(version), version.artefact_hash).meta == {"resumed": False}
    assert curves_of(events_of(job)) == {"train": {"train_loss": [[1, 1.0], [2, 0.5]]}}
    assert [event["epoch"] for event in heard] == [1, 2]


def test_a_trainers_sentence_reaches_the_job(make_job) -> None:
    job = make_job("fails")
    assert run_next() is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "training_error")
    assert job.error_message == "There is no positive case."


def test_a_job_whose_process_died_goes_on_from_its_checkpoint(make_job) -> None:
    job = make_job("dies")
    assert run_next() is None
    job.refresh_from_db()
    assert (job.status, job.attempts) == (Status.QUEUED, 0)  # it had got further
    assert (checkpoint_folder(job.pk) / "epoch-2").exists()
    assert not scratch_folder(job.pk).exists()
    assert open_artefact(artefact_dir(run_next())).meta == {"resumed": True}
    assert not checkpoint_folder(job.pk).exists()


def test_films_would_stay_if_nobody_removed_them(make_job, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "forget_run", lambda job: None)
    job = make_job("dies")
    run_next()
    assert (scratch_folder(job.pk) / "films").exists()


def test_a_poison_job_is_parked_and_delays_nobody(make_job) -> None:
    poison, good = make_job("poison"), make_job()
    assert run_next() is None
    assert run_next().job == good
    assert run_next() is run_next() is None
    poison.refresh_from_db()
    assert (poison.status, poison.error_code, poison.fence) == (Status.FAILED, "process_died", 3)
    assert "died 3 times while it got no further" in poison.error_message
    assert "It ended with code 9." in poison.error_message
    assert jobs.claim() is None
    assert not checkpoint_folder(poison.pk).exists()


def test_a_full_disk_says_so_and_leaves_what_serves(make_job, site) -> None:
    make_job()
    serving = run_next()
    put_in_service(serving)
    job = make_job("fills the disk")
    assert run_next() is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "disk_failed")
    assert job.error_message == "The disk is full. What serves is untouched."
    assert champion("testing") == serving
    assert open_artefact(artefact_dir(serving), serving.artefact_hash)
    assert not half_made(job.pk)
    assert (checkpoint_folder(job.pk) / "epoch-2").exists()


def test_half_an_artefact_would_be_a_version_if_nobody_opened_it(make_job, monkeypatch) -> None:
    make_job()
    whole = open_artefact(artefact_dir(run_next()))
    trusting = dataclasses.replace(whole, artefact_hash="f" * 64)
    monkeypatch.setattr(jobs, "open_artefact", lambda *given, **named: trusting)
    make_job("forges")
    assert run_next() is not None


def test_a_disk_that_fails_the_supervisor_ends_the_job_with_that_word(make_job, monkeypatch) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/log.txt")

    monkeypatch.setattr(runner._Supervisor, "_start", full)
    job = make_job()
    assert run_next() is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "disk_failed")
    assert "/" not in job.error_message


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("card full", "out_of_memory", "smaller batch"),
        ("disk full", "disk_failed", "The disk is full."),
        ("speechless", "training_error", "RuntimeError"),
    ],
)
def test_what_the_machine_lacks_is_named(make_job, how, code, says) -> None:
    job = make_job(how)
    assert run_next() is None
    job.refresh_from_db()
    assert job.error_code == code
    assert says in job.error_message
    assert "/" not in job.error_message


def test_an_artefact_changed_on_the_way_makes_no_version(make_job) -> None:
    job = make_job("forges")
    assert run_next() is None
    job.refresh_from_db()
    assert job.error_code == "hash_mismatch"
    assert not ModelVersion.objects.exists()


def test_a_running_job_is_cancelled_between_two_batches(make_job) -> None:
    job = make_job("waits")

    def cancel_when_it_waits(progress) -> None:
        if progress.get("message") == "waiting":
            request_cancel(job, by=None)

    assert run_next(listener=cancel_when_it_waits) is None
    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert not checkpoint_folder(job.pk).exists()


def test_a_child_that_does_not_listen_is_killed(make_job) -> None:
    job = make_job("deaf")

    def cancel_when_it_waits(progress) -> None:
        if progress.get("message") == "waiting":
            request_cancel(job, by=None)

    assert run_next(listener=cancel_when_it_waits) is None
    job.refresh_from_db()
    assert job.status == Status.CANCELLED


def test_a_changed_dataset_is_not_trained_on(make_job, dataset, settings, tmp_path) -> None:
    job = make_job()
    next(tmp_path.rglob("manifest.json")).write_text('{"edited": true}')
    assert run_next() is None
    job.refresh_from_db()
    assert job.error_code == "dataset_changed"


def test_the_train_command_blocks_and_writes_its_answer(dataset, tmp_path, capsys) -> None:
    out = tmp_path / "out.json"
    call_command("train", "testing", "--dataset", "small", "--preset", "tiny", "--json", str(out))
    job = TrainingJob.objects.get()
    assert json.loads(out.read_text()) == {"version": 1, "job": job.pk}
    assert "epoch 2/2" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"no positive case.*training_error"):
        call_command("train", "testing", "--dataset", "small", "--preset", "tiny", "--param", 'how="fails"')


def resume(*arguments: str) -> None:
    call_command("train", "testing", "--dataset", "small", "--preset", "tiny", "--resume", *arguments)


def test_resume_goes_on_with_the_job_of_the_same_parameters_only(make_job) -> None:
    other, same = make_job(), make_job("forges")
    with pytest.raises(CommandError, match="hash_mismatch"):
        resume("--param", 'how="forges"')
    other.refresh_from_db()
    same.refresh_from_db()
    assert (other.status, same.status) == (Status.QUEUED, Status.FAILED)


def test_resume_takes_the_version_a_worker_made_meanwhile(make_job, monkeypatch, tmp_path, capsys) -> None:
    job = make_job()
    held = jobs.claim()
    made = tmp_path / "made"

    def work(seconds: float) -> None:
        artefact_hash = write_artefact(made, kind="testing", files={}, meta={})
        jobs.finish_succeeded(held, made, artefact_hash, {})

    monkeypatch.setattr(train.time, "sleep", work)
    out = tmp_path / "out.json"
    resume("--json", str(out))
    assert json.loads(out.read_text()) == {"version": 1, "job": job.pk}
    assert f"Job {job.pk} has a holder" in capsys.readouterr().out


def test_promotion_checks_the_artefact_first(make_job, site) -> None:
    make_job()
    version = run_next()
    assert champion("testing") is None
    whole = (artefact_dir(version) / "trees.ubj").read_bytes()
    (artefact_dir(version) / "trees.ubj").write_bytes(b"evil")
    with pytest.raises(LynceusError) as caught:
        install_first_champion(version, by=None, site=site)
    assert caught.value.code == "artefact_hash_mismatch"
    assert champion("testing") is None
    (artefact_dir(version) / "trees.ubj").write_bytes(whole)
    install_first_champion(version, by=None, site=site)
    install_first_champion(version, by=None, site=site)
    assert champion("testing") == version
    assert version.promotions.count() == 1
