"""A job's page: live while it runs, still when it is over, and the way to stop it."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.modelops.jobs.services import jobs
from apps.modelops.models import JobEvent, TrainingJob

Status = TrainingJob.Status


def address_of(job: TrainingJob, name: str = "job") -> str:
    return reverse(f"modelops:{name}", args=[job.pk])


def live_address(page: str) -> str | None:
    found = re.search(r'hx-get="([^"]+/live/[^"]+)"', page)
    return html.unescape(found[1]) if found else None


@pytest.fixture
def running(make_job) -> TrainingJob:
    """The job as its holder knows it, two epochs in."""
    make_job()
    holder = jobs.claim()
    for epoch in (1, 2):
        jobs.add_progress(
            holder,
            {"phase": "train", "epoch": epoch, "epochs": 9, "rate": 1234.4, "rate_unit": "rows", "eta_s": 400,
             "metrics": {"train_loss": 1 / epoch, "val_loss": 0.5 + epoch, "val_auc": 0.6}},
        )  # fmt: skip
    return holder


def test_it_works(admin, running) -> None:
    page = admin.get(address_of(running)).content.decode()
    assert "2 / 9" in page
    assert "1,234 rows/s" in page
    assert "06:40" in page
    assert "learning" in page
    assert "checking" in page
    assert "Validation loss was lowest at epoch 1 (1.5)." in page
    assert "chart=train.loss" in page
    assert "chart=train.score" in page
    assert 'class="phases"' in page


def test_the_live_part_answers_only_when_something_changed_and_ends(admin, running) -> None:
    address = live_address(admin.get(address_of(running)).content.decode())
    assert admin.get(address).status_code == 204
    jobs.add_progress(running, {"phase": "train", "epoch": 3, "epochs": 9})
    answer = admin.get(address)
    assert answer.status_code == 200
    assert "3 / 9" in answer.content.decode()
    assert "hx-swap-oob" not in answer.content.decode().replace(
        'hx-swap-oob="innerHTML"', ""
    )  # the charts redraw themselves
    jobs.finish_failed(running, "training_error", "There is no positive case.")
    last = admin.get(address).content.decode()
    assert live_address(last) is None
    assert "There is no positive case." in last
    assert "training_error" in last
    assert "Mend what the message names" in last
    assert 'id="job-actions"' in last
    assert "Train again" in last


def test_a_chart_that_is_new_is_put_on_the_page(admin, running) -> None:
    address = live_address(admin.get(address_of(running)).content.decode())
    jobs.add_progress(running, {"phase": "check", "epoch": 0, "epochs": 5, "metrics": {"val_logloss": 0.3}})
    answer = admin.get(address).content.decode()
    assert 'id="job-charts"' in answer
    assert "chart=check.loss" in answer


def test_curves_are_what_the_chart_draws(admin, running) -> None:
    url = address_of(running, "job_curves")
    loss = admin.get(url, {"chart": "train.loss"}).json()
    assert loss["series"] == [
        {"name": "training", "points": [[1, 1.0], [2, 0.5]]},
        {"name": "validation", "points": [[1, 1.5], [2, 2.5]]},
    ]
    assert (loss["x"], loss["done"]) == ({"name": "epoch"}, False)
    score = admin.get(url, {"chart": "train.score"}).json()
    assert (score["y"], score["series"][0]["name"]) == ({"name": "AUC"}, "validation")
    jobs.finish_cancelled(running)
    assert admin.get(url, {"chart": "train.loss"}).json()["done"] is True
    assert admin.get(url, {"chart": "train.nothing"}).status_code == 404
    assert admin.get(url).status_code == 404


def test_shares_of_a_step_make_the_phase_bar_where_they_were_measured(admin, running) -> None:
    spent = {"seconds_data": 6, "seconds_forward": 15.5, "seconds_backward": 24.5, "seconds_optimizer": 4}
    for epoch in (3, 4):
        jobs.add_progress(running, {"phase": "train", "epoch": epoch, "epochs": 9, "metrics": spent})
    page = admin.get(address_of(running)).content.decode()
    assert "data 12 %, 12 s" in page
    assert "backward 49 %, 49 s" in page
    assert "chart=train.seconds" not in page


def test_what_it_takes_of_the_machine_is_shown(admin, running) -> None:
    usage = {"cores": 1.84, "memory_mb": 1212}
    told = {"phase": "train", "epoch": 3, "epochs": 9, "learning_rate": 0.004, "usage": usage}
    jobs.add_progress(running, told)
    page = admin.get(address_of(running)).content.decode()
    assert "0.004" in page
    assert "<strong>1.8</strong>" in page
    assert "1,212 MiB" in page
    assert "Memory of the card" not in page
    jobs.add_progress(running, told | {"usage": usage | {"card_memory_mb": 700}})
    assert "700 MiB" in admin.get(address_of(running)).content.decode()


def test_only_what_starts_a_phase_or_measures_is_kept(admin, running) -> None:
    for step in range(50):
        jobs.add_progress(running, {"phase": "check", "step": step, "steps": 50})
    assert JobEvent.objects.count() == 3  # two epochs, and the start of the check
    assert "50 / 50" not in admin.get(address_of(running)).content.decode()
    assert "49 / 50" in admin.get(address_of(running)).content.decode()


def test_a_job_that_measured_very_often_reads_the_newest(admin, running, monkeypatch) -> None:
    monkeypatch.setattr("apps.modelops.common.selectors.EVENTS_MAX", 1)
    loss = admin.get(address_of(running, "job_curves"), {"chart": "train.loss"}).json()
    assert loss["series"][0]["points"] == [[2, 0.5]]


def test_a_queued_job_says_what_it_waits_for(admin, make_job) -> None:
    first, second = make_job(), make_job()
    assert "It is next" in admin.get(address_of(first)).content.decode()
    assert "waits for 1 job before it" in admin.get(address_of(second)).content.decode()


def test_a_running_job_is_asked_to_stop_and_that_is_recorded(admin, running) -> None:
    answer = admin.post(address_of(running, "cancel_job"), follow=True)
    assert "was asked to stop" in answer.content.decode()
    assert "stopping" in answer.content.decode()
    assert jobs.renew(running) == "cancel"
    event = AuditEvent.objects.get(action="training.cancel_requested")
    assert (event.subject, event.actor) == (f"job:{running.pk}", f"user:{answer.context['user'].pk}")


def test_a_queued_job_ends_at_once(admin, make_job) -> None:
    job = make_job()
    assert "cancelled" in admin.post(address_of(job, "cancel_job"), follow=True).content.decode()
    assert jobs.claim() is None


def test_a_job_that_is_over_is_not_cancelled(admin, running) -> None:
    jobs.finish_failed(running, "x", "y")
    answer = admin.post(address_of(running, "cancel_job"), follow=True)
    assert "was over already" in answer.content.decode()
    running.refresh_from_db()
    assert (running.status, running.cancel_requested) == (Status.FAILED, False)
    assert not AuditEvent.objects.filter(action="training.cancel_requested").exists()


def test_cancelling_takes_a_post_with_its_token(running, make_user) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("ml_admin"))
    assert client.post(address_of(running, "cancel_job")).status_code == 403
    assert client.get(address_of(running, "cancel_job")).status_code == 405
    running.refresh_from_db()
    assert running.cancel_requested is False
    page = client.get(address_of(running)).content.decode()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    answer = client.post(address_of(running, "cancel_job"), {"csrfmiddlewaretoken": token})
    assert answer.status_code == 302


def test_another_sites_job_is_not_found(stranger, running) -> None:
    for name in ("job", "job_live", "job_curves"):
        assert stranger.get(address_of(running, name), {"chart": "train.loss"}).status_code == 404
    assert stranger.post(address_of(running, "cancel_job")).status_code == 404
    running.refresh_from_db()
    assert running.cancel_requested is False


def test_the_last_lines_of_its_log_are_not_shown(admin, running, tmp_path) -> None:
    folder = tmp_path / "jobs" / str(running.pk)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("card 4711 of somebody")
    jobs.finish_failed(running, "process_died", "It ended with code 9.")
    assert "4711" not in admin.get(address_of(running)).content.decode()
