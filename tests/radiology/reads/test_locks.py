"""One reader a study at a time, and the next one that nobody reads."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.radiology.models import Read, StudyLock
from apps.radiology.studies.services import locks
from tests.radiology.reads.conftest import page_of


def test_one_reader_at_a_time_and_taking_over_is_on_record(radiologist, study, press, other) -> None:
    press(study)
    page = page_of(other, study)
    assert "has been reading this study" in page
    assert "radiologist@example.org reads" in other.get("/radiology/").content.decode()
    door = f"/radiology/studies/{study.public_id}/read/"
    other.post(door)
    assert Read.objects.count() == 1
    other.post(door, {"over": "1"})
    assert Read.objects.count() == 2
    assert AuditEvent.objects.filter(action="lock.taken_over").exists()
    answer = press(study, "keep", text="mine", headers={"accept": "application/json"})
    assert answer.status_code == 409
    assert press(study, "hold").status_code == 409


def test_a_lock_ends_by_itself(study, press, other) -> None:
    press(study)
    assert press(study, "hold").status_code == 204
    StudyLock.objects.update(expires_at=now() - timedelta(seconds=1))
    other.post(f"/radiology/studies/{study.public_id}/read/")
    assert StudyLock.objects.get().by.email == "colleague@north.example"


def test_without_the_lock_two_would_read_it(study, press, other, monkeypatch) -> None:
    monkeypatch.setattr(locks, "HELD", timedelta(seconds=-1))
    press(study)
    other.post(f"/radiology/studies/{study.public_id}/read/")
    assert Read.objects.count() == 2


def test_next_is_the_first_that_nobody_reads(radiologist, received, judged, other) -> None:
    first, second, third = (received() for _ in range(3))
    judged(third, Effusion=(0.9, 0.4))
    taken = [client.post("/radiology/next/")["location"] for client in (radiologist, other, radiologist)]
    expected = [f"/radiology/studies/{one.study.public_id}/" for one in (third, first, second)]
    assert taken == expected
    assert radiologist.post("/radiology/next/")["location"] == "/radiology/"


@pytest.mark.django_db(transaction=True)
def test_many_readers_at_once_never_get_the_same(site, make_user, received) -> None:
    studies = [received().study for _ in range(6)]
    readers = [make_user("radiologist", email=f"r{n}@north.example") for n in range(6)]
    got: list[str] = []

    def read(user: Any) -> None:
        client = Client()
        client.force_login(user)
        got.append(client.post("/radiology/next/")["location"])
        connection.close()

    threads = [threading.Thread(target=read, args=(user,)) for user in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == sorted(f"/radiology/studies/{one.public_id}/" for one in studies)


def test_next_on_the_page_is_none_that_is_signed(radiologist, received, press) -> None:
    first, second, third = (received().study for _ in range(3))
    press(second)
    press(second, "commit")
    press(second, "sign")
    page = page_of(radiologist, first)
    assert str(third.public_id) in page
    assert str(second.public_id) not in page.split("Other studies")[0]
