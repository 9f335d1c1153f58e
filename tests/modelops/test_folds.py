"""A configuration is judged by folds: a job each, run and stopped as any, and no version comes of it."""

from __future__ import annotations

import json
import math

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import jobs_of_folds, unfinished_job
from apps.modelops.jobs.folds import spreads_of, status_of
from apps.modelops.jobs.services import jobs, runner
from apps.modelops.jobs.services.control import request_pause
from apps.modelops.jobs.services.folds import cancel_folds, request_folds
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import CrossValidation, ModelVersion, TrainingJob

Status = TrainingJob.Status


@pytest.fixture
def make_folds(dataset):
    def make(how: str = "well", folds: int = 3, **given) -> CrossValidation:
        return request_folds(dataset=dataset, folds=folds, preset="tiny", params={"how": how}, **given)

    return make


def measured(auc: float) -> dict[str, float]:
    return {"auc": auc, "n": 10, "n_train": 15, "n_choose": 5}


def page_of(client, crossed: CrossValidation, name: str = "cross_validation") -> str:
    return client.get(reverse(f"modelops:{name}", args=[crossed.pk])).content.decode()


def test_from_the_form_to_the_mean_over_the_folds(child_can_start, admin, dataset) -> None:
    asked = {"dataset": dataset.pk, "preset": "tiny", "seed": 7, "device": "auto", "folds": 2}
    answer = admin.post("/models/testing/train/", asked)
    crossed = CrossValidation.objects.get()
    assert answer.headers["Location"] == reverse("modelops:cross_validation", args=[crossed.pk])
    waiting = page_of(admin, crossed)
    assert "No fold has been measured yet." in waiting
    assert "0 of 2 done" in waiting
    assert run_next() is run_next() is None
    found = jobs_of_folds(crossed)
    assert [(job.status, job.fold, job.seed) for job in found] == [
        (Status.SUCCEEDED, number, 7 + number) for number in (1, 2)
    ]
    assert {(job.measured["dealt_by"], job.measured["folds"]) for job in found} == {(7, 2)}
    assert [job.measured["seed"] for job in found] == [8, 9]
    assert not ModelVersion.objects.exists()
    page = page_of(admin, crossed)
    assert "2 of 2 done" in page
    assert "0.650" in page
    assert "hx-get" not in page.split('id="folds"')[1].split(">")[0]
    [auc] = spreads_of(found)
    assert (auc.mean.value, auc.lowest, auc.highest, auc.n) == (pytest.approx(0.65), 0.6, 0.7, 2)
    job_page = admin.get(reverse("modelops:job", args=[found[0].pk])).content.decode()
    assert f"cross-validation {crossed.pk}" in job_page
    assert "Measured on its fold" in job_page


def test_the_index_lists_it_once_and_no_fold_as_a_job(admin, make_folds) -> None:
    crossed = make_folds()
    page = admin.get("/models/").content.decode()
    assert page.count(f' href="{reverse("modelops:cross_validation", args=[crossed.pk])}"') == 1
    assert reverse("modelops:job", args=[crossed.jobs.first().pk]) not in page


def test_a_failed_fold_says_so_and_is_retried_alone(admin, make_folds) -> None:
    crossed = make_folds()
    jobs.finish_fold(jobs.claim(), measured(0.6))
    jobs.finish_failed(jobs.claim(), "training_error", "There is no positive case.")
    jobs.finish_fold(jobs.claim(), measured(0.8))
    page = page_of(admin, crossed)
    assert "Fold 2 failed: There is no positive case." in page
    assert "Only the folds that are done count." in page
    found = jobs_of_folds(crossed)
    assert [job.status for job in found] == [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED]
    admin.post(reverse("modelops:resume_job", args=[found[1].pk]))
    again = jobs.claim()
    assert (again, jobs.claim()) == (found[1], None)  # the others are left alone
    jobs.finish_fold(again, measured(0.7))
    assert "Fold 2 failed" not in page_of(admin, crossed)


def test_the_mean_has_an_interval_for_folds_that_share_what_they_learn_from(make_folds) -> None:
    crossed = make_folds()
    for value in (0.68, 0.7, 0.72):
        jobs.finish_fold(jobs.claim(), measured(value))
    [auc] = spreads_of(jobs_of_folds(crossed))
    assert auc.deviation == pytest.approx(0.02)
    # t of two degrees of freedom, and a variance of 1/3 + 10 scored of 20 that taught
    assert auc.mean.high - auc.mean.value == pytest.approx(4.303 * 0.02 * math.sqrt(1 / 3 + 1 / 2))
    [wide] = spreads_of(jobs_of_folds(crossed)[:2])
    assert 0 < wide.mean.low < auc.mean.low
    TrainingJob.objects.filter(fold=1).update(measured=measured(0.1))
    [wide] = spreads_of(jobs_of_folds(crossed)[:2])
    assert (wide.mean.low, wide.mean.high) == (0, 1)


def test_cancelling_it_cancels_its_jobs(admin, make_folds, make_job) -> None:
    crossed, other = make_folds(), make_job()
    running = jobs.claim()
    request_pause(jobs_of_folds(crossed)[1], by=None)
    address = reverse("modelops:cancel_folds", args=[crossed.pk])
    assert "were asked to stop" in admin.post(address, follow=True).content.decode()
    assert jobs.renew(running) == "cancel"
    jobs.finish_cancelled(running)
    assert status_of(jobs_of_folds(crossed)) == Status.CANCELLED
    other.refresh_from_db()
    assert other.status == Status.QUEUED
    assert "was over already" in admin.post(address, follow=True).content.decode()
    told = AuditEvent.objects.filter(subject=f"cross_validation:{crossed.pk}").order_by("id")
    assert list(told.values_list("action", flat=True)) == [
        "training.folds_requested", "training.folds_cancel_requested",
    ]  # fmt: skip


def test_the_page_is_sent_again_only_when_something_changed(admin, make_folds) -> None:
    crossed = make_folds()
    address = reverse("modelops:cross_validation_live", args=[crossed.pk])
    mark = admin.get(address).context["mark"]
    assert admin.get(address, {"seen": mark}).status_code == 204
    jobs.claim()
    assert admin.get(address, {"seen": mark}).status_code == 200


def test_who_asked_hears_of_it_once_all_of_it_is_over(admin, make_folds, make_user) -> None:
    crossed = make_folds(folds=2, by=None)
    ada = admin.get("/models/").context["user"]
    TrainingJob.objects.update(requested_by=ada)
    CrossValidation.objects.update(requested_by=ada)
    jobs.finish_fold(jobs.claim(), measured(0.5))
    assert "is over" not in admin.get("/models/").content.decode()
    jobs.finish_failed(jobs.claim(), "training_error", "No.")
    assert f"Cross-validation {crossed.pk} is over" in admin.get("/models/").content.decode()
    page_of(admin, crossed)
    assert "is over" not in admin.get("/models/").content.decode()


def test_a_fold_would_be_a_version_if_its_job_were_taken_for_another(child_can_start, make_folds) -> None:
    """Sabotage: the fold's number is lost."""
    make_folds(folds=2)
    TrainingJob.objects.update(fold=None, cross_validation=None)
    assert run_next() is not None


def test_the_database_holds_a_fold_to_its_cross_validation(make_folds) -> None:
    crossed = make_folds(folds=2)
    for changes in ({"fold": 1}, {"fold": None}, {"fold": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            crossed.jobs.filter(fold=2).update(**changes)
    with pytest.raises(IntegrityError), transaction.atomic():
        CrossValidation.objects.update(folds=11)


def test_a_fold_is_no_unfinished_job_of_its_kind(make_folds, dataset) -> None:
    make_folds(folds=2)
    assert unfinished_job(dataset, preset="tiny", params={"how": "well"}, seed=1) is None


@pytest.mark.parametrize(("folds", "code"), [(1, "invalid_folds"), (11, "invalid_folds")])
def test_too_few_and_too_many_are_refused(make_folds, folds, code) -> None:
    with pytest.raises(LynceusError) as caught:
        make_folds(folds=folds)
    assert caught.value.code == code
    assert not TrainingJob.objects.exists()


def test_the_form_refuses_at_the_field(admin, dataset) -> None:
    asked = {"dataset": dataset.pk, "preset": "tiny", "seed": 0, "device": "auto"}
    answer = admin.post("/models/testing/train/", asked | {"folds": 11})
    assert "less than or equal to 10" in answer.context["form"].errors["folds"][0]
    assert not TrainingJob.objects.exists()


def test_training_like_this_asks_for_the_same(admin, make_folds, dataset) -> None:
    crossed = make_folds(seed=5)
    form = admin.get("/models/testing/train/", {"job": crossed.jobs.first().pk}).context["form"]
    assert (form.initial["dataset"], form.initial["seed"]) == (dataset.pk, 5)


def test_at_the_terminal_where_one_is_killed_and_goes_on(child_can_start, dataset, tmp_path, capsys) -> None:
    out = tmp_path / "folds.json"
    call_command(
        "train", "testing", "--dataset", "small", "--preset", "tiny", "--folds", "2",
        "--param", 'how="dies"', "--json", str(out),
    )  # fmt: skip
    said = json.loads(out.read_text())
    assert (said["auc"]["mean"], said["auc"]["n"]) == (pytest.approx(0.65), 2)
    assert [(fold["auc"], fold["resumed"]) for fold in said["folds"]] == [(0.6, False), (0.7, True)]
    assert "AUC: 0.6500" in capsys.readouterr().out


def test_the_terminal_says_which_failed(dataset, monkeypatch) -> None:
    def fail(supervisor) -> None:
        jobs.finish_failed(supervisor.job, "training_error", "There is no positive case.")

    monkeypatch.setattr(runner._Supervisor, "run", fail)
    asked = ("train", "testing", "--dataset", "small", "--preset", "tiny", "--folds", "2")
    with pytest.raises(CommandError, match=r"failed: There is no positive case. \(training_error\)"):
        call_command(*asked)
    for wrong in ("--promote", "--resume"):
        with pytest.raises(CommandError, match="makes no version"):
            call_command(*asked, wrong)


def test_who_interrupts_it_at_the_terminal_is_done_with_all_of_it(dataset, monkeypatch) -> None:
    def interrupt(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner._Supervisor, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        call_command("train", "testing", "--dataset", "small", "--preset", "tiny", "--folds", "2")
    assert {job.status for job in TrainingJob.objects.all()} == {Status.CANCELLED}
    assert not cancel_folds(CrossValidation.objects.get(), by=None)


def test_another_sites_is_not_found(stranger, make_folds) -> None:
    crossed = make_folds()
    for name in ("cross_validation", "cross_validation_live"):
        assert stranger.get(reverse(f"modelops:{name}", args=[crossed.pk])).status_code == 404
    assert stranger.post(reverse("modelops:cancel_folds", args=[crossed.pk])).status_code == 404
