"""A policy trains anew for labels, an alarm or the calendar: once for each reason, and a candidate only."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.sweep import sweep_all
from apps.modelops.datasets.services.freezes import run_freeze
from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import (
    Freeze,
    GateRun,
    Model,
    Promotion,
    PromotionRequest,
    Retraining,
    RetrainingPolicy,
    TrainingJob,
)
from apps.modelops.retraining import retraining_reasons
from apps.modelops.retraining.services import retraining
from tests.modelops.domain import exporter
from tests.promoting import put_in_service

URL = "/models/testing/retraining/"
State = Retraining.State
GIVEN = {
    "enabled": "on", "labels_min": "15", "calendar": "", "weekday": "0", "day": "1", "hour": "2",
    "preset": "tiny", "includes": ["signed"], "min_days": "7",
}  # fmt: skip


@pytest.fixture
def policy(admin, dataset) -> RetrainingPolicy:
    """Of the domain, in which 15 labels wait."""
    assert keep(admin).status_code == 302
    return RetrainingPolicy.objects.get()


def keep(admin, **changed):
    return admin.post(URL, {**GIVEN, **changed})


def look() -> None:
    """A minute later."""
    RetrainingPolicy.objects.update(looked_at=None)
    sweep_all()


def frozen() -> Freeze:
    """What waits to be frozen is."""
    freeze = Freeze.objects.latest("pk")
    run_freeze(freeze.pk)
    freeze.refresh_from_db()
    return freeze


def told() -> list[tuple[str, str, str]]:
    return list(Retraining.objects.order_by("pk").values_list("reason", "state", "says"))


def end(job: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(status="succeeded")


def test_it_works(admin, policy, child_can_start) -> None:
    """From fifteen labels to a candidate, and nothing further."""
    look()
    freeze = Freeze.objects.get()
    assert freeze.includes == ["signed"]
    page = " ".join(admin.get(URL).content.decode().split())
    assert "15 new labels and nothing was frozen yet." in page
    assert reverse("modelops:freezing", args=[freeze.pk]) in page
    look()
    assert not TrainingJob.objects.exists()  # before it is frozen
    made = frozen().dataset
    look()
    job = TrainingJob.objects.get()
    assert (job.dataset, job.preset, job.requested_by) == (made, "tiny", policy.by)
    version = run_next(job.pk)
    page = " ".join(admin.get(URL).content.decode().split())
    for text in (f"Job {job.pk}", f"version {version.number}", "started", "Last start"):
        assert text in page, text
    said = " ".join(admin.get(reverse("modelops:job", args=[job.pk])).content.decode().split())
    assert "retraining policy</a>: 15 new labels" in said
    look()
    model = Model.objects.get()
    assert (model.champion, model.challenger, model.shadow) == (None, None, None)
    assert not any(one.objects.exists() for one in (Promotion, PromotionRequest, GateRun))
    actions = AuditEvent.objects.filter(action__startswith="retraining").order_by("pk")
    assert list(actions.values_list("action", "actor")) == [
        ("retraining.policy_set", f"user:{policy.by_id}"),
        ("retraining.started", "system"),
        ("retraining.queued", "system"),
    ]


def test_no_reason_counts_twice(policy) -> None:
    for _ in range(3):
        look()
    frozen()
    for _ in range(3):
        look()
    end(TrainingJob.objects.get())
    Retraining.objects.update(began_at=now() - timedelta(days=30))
    look()
    assert told() == [("labels", "started", "")]
    assert (Freeze.objects.count(), TrainingJob.objects.count()) == (1, 1)


def test_the_database_knows_each_reason_once(policy) -> None:
    """Without its constraint two sweepers that found the same would start twice."""
    row = {"policy": policy, "reason": "labels", "key": "labels:0:1", "at": now()}
    Retraining.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Retraining.objects.create(**row)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE modelops_retraining DROP CONSTRAINT no_reason_twice")
    Retraining.objects.create(**row)
    assert Retraining.objects.count() == 2


def sweepers(policy: RetrainingPolicy) -> list[bool]:
    """What two that look at the same moment did."""
    both, looked = Barrier(2), []

    def sweep() -> None:
        try:
            both.wait(timeout=30)
            looked.append(retraining.look_at(policy.pk))
        finally:
            connection.close()

    threads = [Thread(target=sweep) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sorted(looked)


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_do_not_double_it(policy) -> None:
    assert sweepers(policy) == [False, True]
    assert Freeze.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_both_act_and_the_database_alone_lets_one_start(policy, monkeypatch) -> None:
    within, honest = Barrier(2), retraining_reasons.due

    def due(policy):
        within.wait(timeout=30)  # neither has written anything yet
        return honest(policy)

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self)
    monkeypatch.setattr(retraining_reasons, "due", due)
    # The second one waits for the first one's mark on the policy's row: it is made later here.
    monkeypatch.setattr(retraining, "_looked", lambda policy: None)
    assert sweepers(policy) == [True, True]
    assert Freeze.objects.count() == 1


def test_it_is_held_back_while_a_job_of_the_domain_waits_or_runs(policy, make_job, admin) -> None:
    job = make_job()
    look()
    assert told() == [("labels", "held", f"Job {job.pk} of this domain waits or runs.")]
    assert f"Job {job.pk} of this domain waits" in admin.get(URL).content.decode()
    jobs.claim()
    look()
    assert not Freeze.objects.exists()
    end(job)
    look()
    assert told() == [("labels", "freezing", "")]
    other = make_job()
    frozen()
    look()
    assert told() == [("labels", "freezing", f"Frozen; job {other.pk} of this domain is waited for.")]
    end(other)
    look()
    assert told() == [("labels", "started", "")]


def test_without_the_guard_it_would_train_beside_another(policy, make_job, monkeypatch) -> None:
    make_job()
    monkeypatch.setattr(retraining, "why_not_now", lambda policy: "")
    look()
    assert told() == [("labels", "freezing", "")]


def test_two_starts_are_days_apart(policy, monkeypatch, site) -> None:
    look()
    frozen()
    look()
    end(TrainingJob.objects.get())
    monkeypatch.setattr(exporter, "news", lambda site, since: {"signed reads": 40})
    look()
    assert told()[1][:2] == ("labels", "held")
    assert told()[1][2].startswith("Two starts are 7 days apart at least: not before ")
    Retraining.objects.filter(state=State.STARTED).update(began_at=now() - timedelta(days=7, minutes=1))
    look()
    assert told()[1] == ("labels", "freezing", "")
    assert frozen().name == f"retrain-{now():%Y-%m-%d}-2"


def test_labels_frozen_by_a_person_are_no_reason_any_more(policy, make_job, admin) -> None:
    make_job()
    look()
    admin.post("/models/testing/freeze/", {"name": "spring", "includes": ["signed"]})
    frozen()
    look()
    assert told() == [("labels", "skipped", "A dataset was frozen meanwhile.")]


def test_one_start_answers_all_that_speaks_for_it(policy, make_job) -> None:
    job = make_job()
    RetrainingPolicy.objects.update(calendar="weekly", weekday=(now() - timedelta(days=1)).weekday(), hour=0)
    RetrainingPolicy.objects.update(at=now() - timedelta(days=20))
    look()
    assert [one[:2] for one in told()] == [("labels", "held"), ("calendar", "held")]
    end(job)
    look()
    says = "Answered by what was started for: 15 new labels and nothing was frozen yet."
    assert told() == [("labels", "freezing", ""), ("calendar", "skipped", says)]


def test_what_cannot_be_frozen_or_trained_is_said(policy, admin, monkeypatch) -> None:
    def nobody(*_) -> None:
        raise ValueError("Nobody has said anything yet.")

    with monkeypatch.context() as patch:
        patch.setattr(exporter, "export", nobody)
        look()
        frozen()
    look()
    assert told() == [("labels", "failed", "Nobody has said anything yet.")]
    look()
    assert Freeze.objects.count() == 1
    assert "Nobody has said anything yet." in admin.get(URL).content.decode()
    Retraining.objects.update(began_at=None)
    RetrainingPolicy.objects.update(includes=["gone"])
    monkeypatch.setattr(exporter, "news", lambda site, since: {"signed reads": 30})
    look()
    assert told()[1] == ("labels", "failed", "Choose what the dataset is to hold.")
    RetrainingPolicy.objects.update(includes=["signed"], preset="gone")
    monkeypatch.setattr(exporter, "news", lambda site, since: {"signed reads": 45})
    look()
    frozen()
    look()
    assert told()[2][:2] == ("labels", "failed")
    assert "none of the presets" in told()[2][2]


def test_nobody_answers_for_it_any_more(policy) -> None:
    User.objects.update(role="auditor")
    look()
    assert told()[0][2].startswith("Who set the policy is no ML administrator any more")
    assert not Freeze.objects.exists()


def test_switched_off_it_starts_nothing_and_forgets_what_waited(policy, make_job, admin) -> None:
    make_job()
    look()
    keep(admin, enabled="")
    look()
    assert told() == [("labels", "skipped", "The policy was switched off.")]


def test_one_that_fails_keeps_no_other_from_its_turn(policy, monkeypatch) -> None:
    def broken(policy) -> list[object]:
        raise KeyError("x")

    monkeypatch.setattr(retraining_reasons, "due", broken)
    look()
    assert RetrainingPolicy.objects.get().looked_at is not None
    assert not Retraining.objects.exists()


def test_what_was_brought_along_is_frozen_with_it(policy, make_version, dataset) -> None:
    put_in_service(make_version())
    look()
    assert Freeze.objects.get().base == dataset
