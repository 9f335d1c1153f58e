"""A job is laid aside, taken up again from its checkpoint, cancelled in time, and forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.modelops.common.places import checkpoint_folder, scratch_folder
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.jobs.services import jobs, runner
from apps.modelops.jobs.services.control import request_cancel, request_pause
from apps.modelops.jobs.services.leftovers import KEPT, forget_old_checkpoints
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import TrainingJob
from ml.common.artefact import open_artefact

Status = TrainingJob.Status


def press(client, job: TrainingJob, name: str) -> str:
    answer = client.post(reverse(f"modelops:{name}", args=[job.pk]), follow=True)
    job.refresh_from_db()
    return answer.content.decode()


def run_until_asked(job: TrainingJob, ask) -> None:
    """The job in its own process, asked for something once it waits with a checkpoint."""

    asked = []

    def hear(progress) -> None:
        if progress.get("message") == "waiting" and not asked:  # it says so again and again
            asked.append(ask(job, by=None))

    assert run_next(job.pk, hear) is None
    job.refresh_from_db()


def test_a_running_job_is_paused_and_goes_on_from_its_checkpoint(child_can_start, admin, make_job) -> None:
    job = make_job("outlives")
    run_until_asked(job, request_pause)
    assert job.status == Status.PAUSED
    assert jobs.claim() is None
    assert (checkpoint_folder(job.pk) / "epoch-2").exists()
    assert not scratch_folder(job.pk).exists()  # patients' films do not lie about meanwhile
    page = admin.get(reverse("modelops:job", args=[job.pk])).content.decode()
    assert "It was paused at learning." in page
    assert "Resume from its checkpoint" in page
    assert "is queued again" in press(admin, job, "resume_job")
    version = run_next()
    assert open_artefact(artefact_dir(version)).meta == {"resumed": True}
    told = AuditEvent.objects.filter(subject=f"job:{job.pk}").order_by("id")
    assert list(told.values_list("action", flat=True)) == [
        "training.requested", "training.pause_requested", "training.resume_requested",
    ]  # fmt: skip


def test_a_cancelled_job_is_retried_from_its_checkpoint(child_can_start, admin, make_job) -> None:
    job = make_job("outlives")
    run_until_asked(job, request_cancel)
    assert job.status == Status.CANCELLED
    press(admin, job, "resume_job")
    assert (job.status, job.cancel_requested, job.finished_at) == (Status.QUEUED, False, None)
    assert open_artefact(artefact_dir(run_next())).meta == {"resumed": True}


def test_without_its_checkpoint_it_would_begin_anew(child_can_start, admin, make_job) -> None:
    job = make_job("outlives")
    run_until_asked(job, request_cancel)
    assert "kept nothing more" in press(admin, job, "discard_checkpoint")
    assert not checkpoint_folder(job.pk).exists()
    assert "Start it again" in admin.get(reverse("modelops:job", args=[job.pk])).content.decode()
    press(admin, job, "resume_job")
    run_until_asked(job, request_cancel)  # it waits again, as one does that found no checkpoint
    assert job.status == Status.CANCELLED


def test_whatever_its_process_is_at_a_cancelled_job_ends_in_five_seconds() -> None:
    """It is heard of within two looks; the process is then told, and killed."""
    assert 2 * runner.RENEW_EVERY_S + runner.GRACE_S < 5


def test_a_queued_job_is_paused_at_once_and_cancelled_from_there(admin, make_job) -> None:
    job = make_job()
    assert "was asked to pause" in press(admin, job, "pause_job")
    assert jobs.claim() is None
    assert "neither waits nor runs" in press(admin, job, "pause_job")
    press(admin, job, "cancel_job")
    assert job.status == Status.CANCELLED
    press(admin, job, "resume_job")
    assert jobs.claim() == job
    assert "cannot be resumed as it is" in press(admin, job, "resume_job")
    assert "had nothing to discard" in press(admin, job, "discard_checkpoint")


def failed_with_checkpoint(make_job) -> TrainingJob:
    make_job()
    held = jobs.claim()
    folder = checkpoint_folder(held.pk)
    folder.mkdir(parents=True)
    (folder / "epoch-2").write_text("")
    jobs.add_progress(held, {"phase": "train", "checkpoint": True})
    jobs.finish_failed(held, "training_error", "No.")
    return held


@pytest.mark.django_db(transaction=True)
def test_what_nobody_goes_on_with_is_kept_a_week(make_job) -> None:
    job = failed_with_checkpoint(make_job)
    assert forget_old_checkpoints() == 0
    TrainingJob.objects.update(finished_at=now() - KEPT - timedelta(minutes=1))
    assert forget_old_checkpoints() == 1
    assert not checkpoint_folder(job.pk).exists()
    assert forget_old_checkpoints() == 0


def test_another_sites_job_is_not_touched(stranger, make_job) -> None:
    job = make_job()
    for name in ("pause_job", "resume_job", "discard_checkpoint"):
        assert stranger.post(reverse(f"modelops:{name}", args=[job.pk])).status_code == 404
    job.refresh_from_db()
    assert job.status == Status.QUEUED


def test_whoever_asked_for_it_is_told_until_they_look(admin, make_user, make_job) -> None:
    job = make_job()
    other = make_user("ml_admin", email="other@example.org")
    TrainingJob.objects.update(requested_by=other)
    jobs.finish_failed(jobs.claim(), "training_error", "No.")
    told = f"Job {job.pk} failed"
    page = reverse("modelops:job", args=[job.pk])
    assert told not in admin.get(page).content.decode()
    admin.force_login(other)
    assert told in admin.get(reverse("modelops:index")).content.decode()
    assert told not in admin.get(page).content.decode().split("<main")[0]
    assert told not in admin.get(reverse("modelops:index")).content.decode()


def test_its_log_is_what_the_trainer_worded(admin, make_job) -> None:
    make_job()
    held = jobs.claim()
    told = {"phase": "train", "epoch": 1, "epochs": 2, "metrics": {"train_loss": 0.5, "share_data": 0.25}}
    jobs.add_progress(held, told)
    jobs.put_back(held, "It was ended by signal 9 (SIGKILL).")
    lines = admin.get(reverse("modelops:job_log", args=[held.pk])).content.decode().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "train  epoch 1/2  train_loss 0.5",
        "the training process died: It was ended by signal 9 (SIGKILL). Attempt 2 of 3 is next.",
    ]
    assert "Attempt 2 of 3 is next" in admin.get(reverse("modelops:job", args=[held.pk])).content.decode()
