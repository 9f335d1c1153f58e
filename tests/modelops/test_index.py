"""The administrator's home: what serves, what trains, and what to do where there is nothing yet."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.control import request_cancel
from apps.modelops.models import TrainingJob
from apps.modelops.promotion.services.promotion import install_first_champion

URL = "/models/"


def rows_address(page: str) -> str:
    return html.unescape(re.search(r'hx-get="([^"]+)"', page)[1])


def test_it_works(admin, make_version, site, make_user) -> None:
    version = make_version()
    install_first_champion(version, by=make_user("operator", full_name="Bo West"), site=site)
    page = admin.get(URL).content.decode()
    assert "Version 1" in page
    assert "0.600 to 0.710" in page
    assert "Bo West" in page
    assert "small" in page
    assert reverse("modelops:new_job", args=["testing"]) in page


def test_the_administrator_lands_here_and_finds_it_in_the_rail(admin, dataset) -> None:
    assert admin.get("/").headers["Location"] == URL
    assert 'data-shortcut="g m"' in admin.get(URL).content.decode()


def test_with_no_data_it_says_what_to_run(admin, dataset) -> None:
    assert "No training yet" in admin.get(URL).content.decode()
    dataset.delete()
    page = admin.get(URL).content.decode()
    assert "python manage.py make_it_up" in page
    assert reverse("modelops:new_job", args=["testing"]) not in page


def test_with_versions_but_no_champion_it_says_to_promote_one(admin, make_version) -> None:
    make_version()
    assert "No version is in service" in admin.get(URL).content.decode()


def test_a_running_job_shows_how_far_it_is(admin, make_job) -> None:
    job = make_job()
    holder = jobs.claim()
    jobs.add_progress(holder, {"phase": "train", "epoch": 3, "epochs": 9})
    page = admin.get(URL).content.decode()
    assert f"Job {job.pk}" in page
    assert "epoch 3 of 9" in page


def test_the_live_rows_answer_only_when_something_changed(admin, make_job) -> None:
    job = make_job()
    address = rows_address(admin.get(URL).content.decode())
    assert admin.get(address).status_code == 204
    request_cancel(job, by=None)
    answer = admin.get(address)
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith("<tbody")
    assert "cancelled" in answer.content.decode()


def test_jobs_under_way_come_first(admin, make_job) -> None:
    waiting = make_job()
    over = make_job()
    TrainingJob.objects.filter(pk=over.pk).update(status="failed", error_code="process_died")
    page = admin.get(URL).content.decode()
    assert page.index(f"Job {waiting.pk}<") < page.index(f"Job {over.pk}<")
    assert "process_died" in page


def test_another_site_sees_the_champion_that_serves_it_and_nothing_more(stranger, make_version, site) -> None:
    version = make_version()
    install_first_champion(version, by=None, site=site)
    page = stranger.get(URL).content.decode()
    assert "Version 1" in page
    assert "another site&#x27;s data" in page or "another site's data" in page
    assert reverse("modelops:version", args=[version.pk]) not in page
    assert f"Job {version.job_id}" not in page
    assert ">small<" not in page


@pytest.mark.parametrize("role", ["radiologist", "fraud_analyst", "auditor", "operator"])
def test_other_roles_stay_out(client, make_user, make_version, role) -> None:
    version = make_version()
    client.force_login(make_user(role))
    for name, argument in (
        ("index", None), ("job_rows", "testing"), ("new_job", "testing"), ("job", version.job_id),
        ("job_live", version.job_id), ("job_curves", version.job_id), ("version", version.pk),
        ("gate_live", version.pk), ("dataset", version.dataset_id),
    ):  # fmt: skip
        arguments = [argument] if argument else []
        assert client.get(reverse(f"modelops:{name}", args=arguments)).status_code == 403, name
    for name, argument in (
        ("new_job", "testing"), ("cancel_job", version.job_id), ("check_at_gate", version.pk),
        ("ask", version.pk), ("back", version.pk),
    ):  # fmt: skip
        assert client.post(reverse(f"modelops:{name}", args=[argument])).status_code == 403, name


def test_strangers_are_sent_to_sign_in(client, dataset) -> None:
    assert client.get(URL).headers["Location"].startswith("/accounts/login/")


def test_an_unknown_domain_is_not_found(admin, dataset) -> None:
    assert admin.get("/models/weather/train/").status_code == 404
    assert admin.get("/models/weather/jobs/").status_code == 404
