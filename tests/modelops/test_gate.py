"""A candidate at the gate: queued, run in a child of its own, its lines on the page, its uses counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common.gate_selectors import uses_of_locked_part
from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.jobs import LeaseLost
from apps.modelops.models import GateRun, TrainingJob
from apps.modelops.promotion.services import gate
from apps.modelops.promotion.services.gate_process import check_next, run_gate
from apps.modelops.promotion.services.promotion import install_first_champion
from ml.common.gate import GateReport
from tests.modelops.test_version import address_of


def checked(version, site) -> GateRun:
    """Held against the champion, in this process."""
    run = gate.claim_gate_run(gate.request_gate_run(version, by=None, site=site).pk)
    run_gate(run.pk, run.fence)
    run.refresh_from_db()
    return run


@pytest.fixture
def candidate(make_version, site):
    """With a champion before it."""
    install_first_champion(make_version(), by=None, site=site)
    return make_version


def test_it_works(admin, candidate, site) -> None:
    version = candidate()
    assert "Check at the gate" in admin.get(address_of(version)).content.decode()
    admin.post(address_of(version, "check_at_gate"))
    page = admin.get(address_of(version)).content.decode()
    assert "waits for the training worker" in page
    assert reverse("modelops:gate_live", args=[version.pk]) in page
    run = gate.claim_gate_run()
    run_gate(run.pk, run.fence)
    page = admin.get(address_of(version)).content.decode()
    for said in ("It passes", "beside version 1", "Locked part", "AUC", "was used 1 time.", "Ask to promote"):
        assert said in page, said
    assert "10 examples that taught neither; 2 more had taught one of the two" in page
    actions = AuditEvent.objects.filter(action__startswith="gate.").values_list("action", "actor")
    assert [*actions.order_by("pk")] == [
        ("gate.requested", f"user:{run.by_id}"),
        ("gate.passed", "system"),
    ]


def test_the_page_says_which_line_failed(admin, candidate, site) -> None:
    version = candidate(how="bad")
    run = checked(version, site)
    assert (run.status, run.passed) == ("done", False)
    page = admin.get(address_of(version)).content.decode()
    assert "Refused by 1 line" in page
    assert "0.500 where the champion has 0.650." in page
    assert "Ask to promote" not in page


def test_without_a_locked_part_it_is_refused_and_nothing_was_used(admin, candidate, site) -> None:
    version = candidate(how="nothing locked")
    assert not checked(version, site).passed
    assert uses_of_locked_part(version.dataset) == 0
    assert "freeze a dataset with a locked part" in admin.get(address_of(version)).content.decode()


def test_each_look_at_a_locked_part_is_counted(admin, candidate, site) -> None:
    first, second = candidate(), candidate()
    for version in (first, second, first):
        checked(version, site)
    assert "was used 3 times" in admin.get(address_of(second)).content.decode()
    second.dataset.summary = {"splits": {"train": 5, "gate": 3}}
    second.dataset.save()
    told = admin.get(reverse("modelops:dataset", args=[second.dataset_id])).content.decode()
    assert "Versions were held against it\n" in told
    assert "3 times" in told


def test_what_goes_wrong_is_said_and_the_next_check_may_go_well(admin, candidate, site) -> None:
    version = candidate(how="fails")
    run = gate.claim_gate_run(gate.request_gate_run(version, by=None, site=site).pk)
    with pytest.raises(ValueError, match="films are gone"):
        run_gate(run.pk, run.fence)
    page = admin.get(address_of(version)).content.decode()
    assert "The films are gone." in page
    assert "second line" not in page
    assert admin.post(address_of(version, "check_at_gate")).status_code == 302


def test_a_changed_dataset_cannot_judge(candidate, site) -> None:
    version = candidate()
    version.dataset.manifest_sha256 = "0" * 64
    version.dataset.save()
    run = checked(version, site)
    assert (run.status, run.error_code, run.passed) == ("failed", "dataset_changed", False)


def test_what_serves_and_what_is_under_way_is_not_checked(admin, candidate) -> None:
    version = candidate()
    assert admin.post(address_of(version, "check_at_gate")).status_code == 302
    assert admin.post(address_of(version, "check_at_gate")).status_code == 409
    assert admin.post(address_of(version.model.champion, "check_at_gate")).status_code == 409
    assert GateRun.objects.count() == 1


def test_the_live_part_answers_only_when_something_changed(admin, candidate, site) -> None:
    version = candidate()
    gate.request_gate_run(version, by=None, site=site)
    run, live = gate.claim_gate_run(), address_of(version, "gate_live")
    gate.tell_progress(run, {"phase": "candidate", "step": 3, "steps": 9})
    shown = admin.get(live)
    assert "Scoring with the candidate, 3 of 9" in shown.content.decode()
    seen = shown.context["gate_mark"]
    assert admin.get(live, {"seen": seen}).status_code == 204
    gate.finish_gate_run(run, GateReport((), 0))
    assert admin.get(live, {"seen": seen}).status_code == 200


def late_holder(version, site) -> GateRun:
    """Its lease ran out and another took the run."""
    gate.request_gate_run(version, by=None, site=site)
    late = gate.claim_gate_run()
    assert gate.claim_gate_run() is None
    GateRun.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert gate.claim_gate_run().fence == late.fence + 1
    return late


def test_a_late_holder_writes_nothing(candidate, site) -> None:
    late = late_holder(candidate(), site)
    for write in (
        lambda: gate.finish_gate_run(late, GateReport((), 1)),
        lambda: gate.fail_gate_run(late, "x", "y"),
        lambda: gate.renew_gate_run(late),
        lambda: gate.held_gate_run(late.pk, late.fence),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert GateRun.objects.get().status == "running"


def test_without_the_fence_a_late_word_would_stand(candidate, site, monkeypatch) -> None:
    late = late_holder(candidate(), site)
    monkeypatch.setattr(
        gate, "_fenced", lambda run, **fields: GateRun.objects.filter(pk=run.pk).update(**fields)
    )
    gate.fail_gate_run(late, "x", "y")
    assert GateRun.objects.get().status == "failed"


def test_what_kills_its_process_is_given_up(candidate, site) -> None:
    gate.request_gate_run(candidate(), by=None, site=site)
    for _ in range(gate.CLAIMS_MAX):
        assert gate.claim_gate_run() is not None
        GateRun.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert gate.claim_gate_run() is None
    assert GateRun.objects.get().error_code == "gave_up"


def test_a_lost_bell_is_rung_again(candidate, site) -> None:
    gate.request_gate_run(candidate(), by=None, site=site)
    assert gate.ring_for_waiting_gate_runs() == 0
    GateRun.objects.update(rung_at=now() - gate.RING_AGAIN)
    assert [gate.ring_for_waiting_gate_runs() for _ in range(2)] == [1, 0]


def test_it_runs_in_a_process_of_its_own(child_can_start, make_version, site) -> None:
    install_first_champion(make_version(), by=None, site=site)
    for how, status, code in (("well", "done", ""), ("dies", "failed", "process_died")):
        gate.request_gate_run(make_version(how=how), by=None, site=site)
        run = check_next()
        assert (run.status, run.error_code, run.passed) == (status, code, how == "well")
    assert check_next() is None


def test_a_domain_without_a_gate_says_so(candidate, site, monkeypatch) -> None:
    version = candidate()
    monkeypatch.setattr(gate, "domain_named", lambda name: type("Domain", (), {"gate": ""}))
    with pytest.raises(LynceusError) as caught:
        gate.request_gate_run(version, by=None, site=site)
    assert caught.value.code == "no_gate"


def test_it_says_what_the_worker_does_before_it(admin, candidate, make_job, site) -> None:
    running = make_job()
    versions = candidate(), candidate()
    jobs.claim(running.pk)
    for version in versions:
        gate.request_gate_run(version, by=None, site=site)
    make_job()  # asked for later
    page = admin.get(address_of(versions[1])).content.decode()
    assert "It waits for the training worker, with 2 jobs or checks before it." in page
    gate.claim_gate_run()
    jobs.finish_cancelled(TrainingJob.objects.get(pk=running.pk))
    assert "with 1 job or check before it." in admin.get(address_of(versions[1])).content.decode()
