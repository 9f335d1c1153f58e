"""Sabotage: what the fence, the limit of attempts and the order of the queue are for, by taking each out."""

from __future__ import annotations

from django.db.models import F

from apps.modelops.jobs.services import jobs
from apps.modelops.models import ModelVersion, TrainingJob
from ml.common.artefact import write_artefact
from tests.modelops.test_jobs import expire_lease

Status = TrainingJob.Status


def test_a_late_write_would_stand(make_job, tmp_path) -> None:
    make_job()
    late = jobs.claim()
    expire_lease(late)
    holder = jobs.claim()
    late.fence = holder.fence  # as if it were not counted up
    made = tmp_path / "made"
    artefact_hash = write_artefact(made, kind="testing", files={}, meta={})
    assert jobs.finish_succeeded(late, made, artefact_hash, {}) == ModelVersion.objects.get()
    holder.refresh_from_db()
    assert holder.status == Status.SUCCEEDED  # while its holder still trains


def died(job: TrainingJob, times: int) -> str:
    """Its status after its process has died so often while it got no further."""
    for _ in range(times):
        held = jobs.claim(job.pk)
        assert held == job
        jobs.put_back(held, "It ended with code 9.")
    job.refresh_from_db()
    return str(job.status)


def test_a_poison_job_would_be_tried_for_ever(make_job, monkeypatch) -> None:
    assert died(make_job(), 3) == Status.FAILED
    monkeypatch.setattr(jobs, "ATTEMPTS_MAX", 99)
    assert died(make_job(), 5) == Status.QUEUED


def test_a_poison_job_would_go_before_the_others_each_time(make_job) -> None:
    poison, good = make_job(), make_job()
    died(poison, 1)
    assert jobs.claim() == good
    jobs.release(TrainingJob.objects.get(pk=good.pk))
    TrainingJob.objects.filter(pk=poison.pk).update(queued_at=F("created_at"))  # as if it kept its place
    assert jobs.claim() == poison
