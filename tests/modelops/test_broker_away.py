"""The broker is away when a job is asked for: nothing fails, and its bell is rung again once it is back."""

from __future__ import annotations

import pytest
from celery import current_app

from apps.core import sweep
from apps.modelops.jobs.services import jobs
from apps.modelops.models import TrainingJob

pytestmark = pytest.mark.django_db(transaction=True)  # nobody listens where the tests look for a broker
BELL = "modelops.run_next_job"


@pytest.fixture
def rung(admin, dataset, monkeypatch) -> list[str]:
    """Bells that are heard from now on; a job was asked for on its page before."""
    asked = {"dataset": dataset.pk, "preset": "tiny", "seed": 0, "device": "auto"}
    assert admin.post("/models/testing/train/", asked).status_code == 302
    assert TrainingJob.objects.get().status == "queued"
    heard: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, *_, **__: heard.append(name))
    return heard


def test_it_works(rung) -> None:
    sweep.sweep_all()
    assert rung.count(BELL) == 1
    assert jobs.claim() is not None


def test_were_there_no_sweeper_it_would_wait_for_the_next_job(rung, monkeypatch) -> None:
    others = {name: each for name, each in sweep._sweepers.items() if name != "modelops"}
    monkeypatch.setattr(sweep, "_sweepers", others)
    sweep.sweep_all()
    assert BELL not in rung
