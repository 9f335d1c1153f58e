"""A job is claimed once, and a holder whose lease was taken over writes nothing more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import QuerySet

from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import queue_age
from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.control import request_cancel
from apps.modelops.models import JobEvent, ModelVersion, TrainingJob
from ml.common.artefact import write_artefact

Status = TrainingJob.Status


def expire_lease(job: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=now() - timedelta(seconds=1))


def test_a_job_is_claimed_once(make_job) -> None:
    job = make_job()
    assert queue_age()[0] == 1
    assert jobs.claim() == job
    assert jobs.claim() is None
    assert queue_age() == (0, None)


def test_a_dead_holders_job_is_taken_over_and_the_dead_are_fenced_out(make_job, tmp_path) -> None:
    make_job()
    first = jobs.claim()
    expire_lease(first)
    second = jobs.claim()
    assert second == first
    assert second.fence == first.fence + 1
    for write in (
        lambda: jobs.renew(first),
        lambda: jobs.add_progress(first, {"phase": "train"}),
        lambda: jobs.finish_failed(first, "x", "y"),
        lambda: jobs.finish_cancelled(first),
    ):
        with pytest.raises(jobs.LeaseLost):
            write()
    made = tmp_path / "made"
    artefact_hash = write_artefact(made, kind="testing", files={}, meta={})
    with pytest.raises(jobs.LeaseLost):
        jobs.finish_succeeded(first, made, artefact_hash, {})
    assert not ModelVersion.objects.exists()
    assert not JobEvent.objects.exists()
    assert jobs.finish_succeeded(second, made, artefact_hash, {}).number == 1


def test_a_job_that_kills_its_supervisor_each_time_is_given_up(make_job) -> None:
    job = make_job()
    for _ in range(3):
        assert jobs.claim() == job
        expire_lease(job)
    next_one = make_job()
    assert jobs.claim() == next_one
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "gave_up")


def test_with_more_attempts_it_would_be_taken_on(make_job, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "ATTEMPTS_MAX", 4)
    job = make_job()
    for _ in range(3):
        jobs.claim()
        expire_lease(job)
    assert jobs.claim() == job


def test_one_that_gets_further_each_time_is_not_given_up(make_job) -> None:
    job = make_job()
    for epoch in range(5):
        held = jobs.claim()
        assert held == job
        jobs.add_progress(held, {"phase": "train", "epoch": epoch, "checkpoint": True})
        expire_lease(job)


def test_a_job_that_was_cut_off_stands_behind_those_that_waited_when_it_began(make_job) -> None:
    cut_off, waits = make_job(), make_job()
    assert jobs.claim() == cut_off
    expire_lease(cut_off)
    later = make_job()
    assert [jobs.claim(), jobs.claim(), jobs.claim()] == [waits, cut_off, later]


def test_a_live_lease_is_not_taken_over(make_job) -> None:
    make_job()
    first = jobs.claim()
    expire_lease(first)
    jobs.renew(first)
    assert jobs.claim() is None


def test_a_claim_between_two_looks_does_not_swallow_a_cancel(make_job, monkeypatch) -> None:
    """A worker takes the job just after it was found not to wait."""
    job = make_job()
    real = QuerySet.update

    def claimed_before_the_first(self, **fields):
        monkeypatch.setattr(QuerySet, "update", real)
        jobs.claim()
        return real(self, **fields)

    monkeypatch.setattr(QuerySet, "update", claimed_before_the_first)
    assert request_cancel(job, by=None)
    job.refresh_from_db()
    assert (job.status, job.cancel_requested) == (Status.RUNNING, True)


def test_a_waiting_job_is_rung_for_once_in_a_while(make_job, monkeypatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(jobs, "ring", rung.append)
    monkeypatch.setattr(jobs, "_rung_at", {})
    make_job()
    rung.clear()
    assert [jobs.ring_for_waiting_jobs() for _ in range(3)] == [1, 0, 0]
    make_job()
    assert jobs.ring_for_waiting_jobs() == 1
    later = now() + jobs.RING_AGAIN
    monkeypatch.setattr(jobs, "now", lambda: later)
    assert jobs.ring_for_waiting_jobs() == 2
    held = jobs.claim()
    expire_lease(held)
    assert jobs.ring_for_waiting_jobs() == 1
    assert rung == ["modelops.run_next_job"] * 6  # one is the second request's own


def test_a_queued_job_is_cancelled_at_once(make_job) -> None:
    job = make_job()
    request_cancel(job, by=None)
    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert jobs.claim() is None


def test_bad_requests_are_refused(dataset) -> None:
    for changes, code in (
        ({"preset": "huge"}, "unknown_preset"),
        ({"params": {"how": 3}}, "invalid_params"),
        ({"device": "abacus"}, "unknown_device"),
    ):
        with pytest.raises(LynceusError) as caught:
            jobs.request_training(**{"dataset": dataset, "preset": "tiny", **changes})
        assert caught.value.code == code
    assert not TrainingJob.objects.exists()
