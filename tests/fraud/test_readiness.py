"""A web process is in rotation once it holds the model its synchronous door decides with."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from django.test import Client

from apps.core import status
from apps.fraud.common.selectors import model_in_service
from apps.fraud.decide.services.drain import drain_shard
from apps.fraud.models import Decision, Transaction
from apps.fraud.serving import inference
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import Model, ModelVersion, TrainingJob
from tests.fraud.conftest import event
from tests.integration.running import eventually

NAME = "fraud model of this process"


def look() -> tuple[int, str]:
    """The answer's status, and what the operator reads of it."""
    answer = Client().get("/readyz")
    [says] = [check.message for check in status.run_checks(everything=False) if check.name == NAME]
    assert says not in answer.content.decode()
    return answer.status_code, says


@pytest.fixture
def unreadable(champion, monkeypatch) -> ModelVersion:
    """In service, and not on this host."""
    artefact_folder(champion.artefact_hash).unlink()
    return champion


@pytest.mark.django_db
def test_without_a_model_rules_decide_and_it_is_ready(monkeypatch) -> None:
    assert look() == (200, "none in service: rules decide")


def test_a_look_loads_the_champion(champion) -> None:
    assert eventually(lambda: look()[0] == 200)
    assert look() == (200, "version 1 loaded")
    assert inference._loaded is not None


def test_not_ready_while_it_loads(champion, monkeypatch) -> None:
    may_load, load = threading.Event(), inference._load

    def slow(*args: Any) -> Any:
        may_load.wait(30)
        return load(*args)

    monkeypatch.setattr(inference, "_load", slow)
    monkeypatch.setattr(inference, "LOOK_S", 0.01)
    assert look() == (503, "is being loaded")
    may_load.set()
    assert eventually(lambda: look() == (200, "version 1 loaded"))


def test_not_ready_on_a_host_that_cannot_read_it(unreadable) -> None:
    number, says = look()
    assert number == 503
    assert says.startswith("cannot be loaded")


def test_without_the_check_such_a_host_would_be_put_in_rotation(unreadable, monkeypatch) -> None:
    monkeypatch.delitem(status._readiness, NAME)
    assert Client().get("/readyz").status_code == 200


def test_a_promotion_takes_nobody_out_of_rotation(champion, site) -> None:
    assert eventually(lambda: look()[0] == 200)
    job = TrainingJob.objects.create(site=site, domain="fraud", dataset=champion.dataset, preset="tiny")
    broken = ModelVersion.objects.create(
        model=champion.model, number=2, artefact_hash="0" * 64, dataset=champion.dataset, job=job
    )
    # Whole where it was promoted, and not on this host.
    Model.objects.filter(domain="fraud").update(champion=broken)
    assert look() == (200, "version 1 loaded, a newer one not yet")


@pytest.mark.django_db(transaction=True)
def test_a_process_that_warms_itself_has_it_before_anyone_asks(champion) -> None:
    usual = gc.get_threshold()
    try:
        inference.warm().join(60)
        assert inference._loaded is not None
        assert gc.get_freeze_count() > len(gc.get_objects())  # no later collection walks what is loaded
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


def test_status_says_it_while_the_last_decision_was_made_without_it(unreadable, post) -> None:
    post(event())
    drain_shard(Transaction.objects.get().shard)
    with pytest.raises(RuntimeError, match="version 1 could not be read"):
        model_in_service()
    Decision.objects.update(mode_reason="")  # as the next one is once it is back
    assert model_in_service() == "version 1 is in service"
