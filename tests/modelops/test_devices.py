"""Two workers never hold one graphics card: the database lets one running job have a slot."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.urls import reverse

from apps.core.errors import LynceusError
from apps.modelops.jobs.devices import device_of, slot_for
from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.jobs import request_training
from apps.modelops.models import TrainingJob
from tests.modelops.test_jobs import expire_lease

Status = TrainingJob.Status


@pytest.fixture
def on_card(dataset, settings):
    settings.LYNCEUS_DEVICE_HOST = "here"

    def make(device: str = "cuda") -> TrainingJob:
        return request_training(dataset=dataset, preset="tiny", device=device)

    return make


def test_one_waits_for_the_other_and_the_processor_is_free(on_card, monkeypatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(jobs, "ring", rung.append)
    first, second, beside = on_card(), on_card(), on_card("cpu")
    rung.clear()
    held = jobs.claim()
    assert (held, held.device_slot, device_of(held)) == (first, "here/cuda:0", "cuda")
    beside_held = jobs.claim()
    assert (beside_held, device_of(beside_held)) == (beside, "cpu")
    assert jobs.claim() is None
    jobs.finish_failed(held, "training_error", "No.")
    assert rung == ["modelops.run_next_job"]  # whoever waited for it
    assert jobs.claim() == second


def test_without_the_constraint_both_would_have_it(on_card) -> None:
    on_card(), on_card()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DROP INDEX one_running_job_a_device")
    assert jobs.claim().device_slot == jobs.claim().device_slot == "here/cuda:0"


def test_another_host_has_a_card_of_its_own(on_card, settings) -> None:
    on_card(), on_card()
    jobs.claim()
    settings.LYNCEUS_DEVICE_HOST = "there"
    assert jobs.claim().device_slot == "there/cuda:0"


def test_the_dead_hold_no_card(on_card) -> None:
    first, second = on_card(), on_card()
    dead = jobs.claim()
    expire_lease(first)
    assert jobs.claim() == second
    first.refresh_from_db()
    assert (first.status, first.device_slot) == (Status.QUEUED, "")
    with pytest.raises(jobs.LeaseLost):
        jobs.renew(dead)


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_at_once_one_gets_it(on_card) -> None:
    on_card(), on_card()
    together, got = threading.Barrier(2), []

    def work() -> None:
        together.wait()
        try:
            got.append(jobs.claim())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(job is None for job in got) == [False, True]


@pytest.mark.parametrize(
    ("asked", "machine", "slot"),
    [
        ("auto", "cuda", "here/cuda:0"),
        ("auto", "cpu", ""),
        ("cpu", "cuda", ""),
        ("cuda", "cpu", "here/cuda:0"),
    ],
)
def test_what_the_job_asks_for_goes_before_the_machines_setting(
    on_card, settings, asked, machine, slot
) -> None:
    settings.LYNCEUS_DEVICE = machine
    assert slot_for(on_card(asked)) == slot


def test_the_form_asks_for_it(admin, dataset) -> None:
    asked = {"dataset": dataset.pk, "preset": "tiny", "seed": 0, "device": "cpu"}
    assert admin.post("/models/testing/train/", asked).status_code == 302
    job = TrainingJob.objects.get()
    assert job.device == "cpu"
    assert "processor" in admin.get(reverse("modelops:job", args=[job.pk])).content.decode()
    assert admin.post("/models/testing/train/", asked | {"device": "abacus"}).status_code == 422


def test_a_device_nobody_knows_is_refused(dataset) -> None:
    with pytest.raises(LynceusError) as caught:
        request_training(dataset=dataset, preset="tiny", device="abacus")
    assert caught.value.code == "unknown_device"
