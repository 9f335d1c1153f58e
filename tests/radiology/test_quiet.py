"""No sender says that a study is complete: it is once nothing more came for a while, until something does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.sweep import sweep_all
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Status, Study
from apps.radiology.studies.services import quiet
from tests.radiology.conftest import as_file, film
from tests.radiology.test_corrections import again


def quieten(seconds: float) -> None:
    Study.objects.update(last_received_at=now() - timedelta(seconds=seconds))


def complete() -> bool:
    sweep_all()
    return Study.objects.get().complete_at is not None


@pytest.fixture
def said(client: Client, token: str) -> Any:
    def ask() -> Any:
        uid = Study.objects.get().StudyInstanceUID
        asked = {"authorization": f"Bearer {token}"}
        return client.get(f"/api/v1/studies/{uid}", headers=asked).json()["complete_at"]

    return ask


def test_it_works(send, radiologist, said) -> None:
    data = film()
    send(as_file(data))
    address = f"/radiology/studies/{Study.objects.get().public_id}/"
    assert "may still be arriving" in radiologist.get(address).content.decode()
    assert "arriving" in radiologist.get("/radiology/").content.decode()
    assert said() is None
    quieten(9)
    assert not complete()
    quieten(10)
    assert complete()
    assert said() is not None
    assert "arriving" not in radiologist.get(address).content.decode()
    assert AuditEvent.objects.get(action="study.complete").detail == {"films": 1}
    assert complete()
    assert AuditEvent.objects.filter(action="study.complete").count() == 1

    send(as_file(film(seed=1, StudyInstanceUID=data.StudyInstanceUID)))
    assert said() is None
    assert AuditEvent.objects.filter(action="study.reopened").count() == 1
    quieten(10)
    assert complete()


def test_every_film_begins_the_wait_anew_and_one_sent_again_does_not(send) -> None:
    data = film()
    send(as_file(data))
    quieten(10)
    send(as_file(film(seed=1, StudyInstanceUID=data.StudyInstanceUID)))
    assert not complete()
    quieten(10)
    send(as_file(data))
    send(as_file(again(data, PatientID="4712")))
    assert complete()


def test_findings_do_not_wait_for_it(received, judged) -> None:
    instance = received()
    analyse_instance(instance.pk)
    judged(instance, Effusion=(0.8, 0.4))
    study = Study.objects.get()
    assert (study.status, study.raised, study.complete_at) == (Status.ANALYSED, True, None)


def test_how_long_it_waits_is_a_setting(send, settings) -> None:
    settings.LYNCEUS_STUDY_QUIET_S = 60
    send(as_file(film()))
    quieten(59)
    assert not complete()
    quieten(60)
    assert complete()


def test_a_film_that_comes_between_look_and_lock_is_noticed(send, monkeypatch) -> None:
    send(as_file(film()))
    quieten(10)
    real = quiet._complete

    def late(pk: int) -> bool:
        quieten(0)
        return real(pk)

    monkeypatch.setattr(quiet, "_complete", late)
    assert not complete()
