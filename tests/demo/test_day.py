"""The demo's worklist: a department's day, whole, spread over its hours, and told as a real one would be."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.urls import reverse

import demo.day as days
from apps.accounts.models import User
from apps.core.clock import now
from apps.radiology.common import decoding
from apps.radiology.models import Instance, Priority, Read, SecondRead, Study
from demo import films
from demo.day import FILMS, LENGTH, ODD, PREFIX, fill_the_day, plan
from demo.prepare import SENT_AT_START
from demo.seed import accounts, seed
from ml.radiology.synthetic import LABELS

N = FILMS["demo"]
ROWS = [
    {"file": f"{n}.dcm", "view": "AP" if n % 3 == 0 else "PA", **{label: str(n % 4 // 3) for label in LABELS}}
    for n in range(N)
]


def test_it_is_a_full_day_spread_over_its_hours() -> None:
    at = now()
    exams = plan(ROWS, at)
    assert 120 <= len(exams) + SENT_AT_START <= 200
    assert [one.received for one in exams] == sorted(one.received for one in exams)
    hours = Counter(int((at - one.received) / timedelta(hours=1)) for one in exams)
    assert min(hours[hour] for hour in range(LENGTH // timedelta(hours=1))) >= 10
    assert len({one.order["location"] for one in exams}) >= 12
    assert len({one.order["clinical_question"] for one in exams}) >= 20
    priorities = Counter(one.order["priority"] for one in exams)
    assert priorities[Priority.ROUTINE] > priorities[Priority.URGENT] > priorities[Priority.STAT] >= 4
    assert sum(any(odd.items() <= one.about.items() for odd in ODD) for one in exams) >= 8
    assert plan(ROWS, at) == exams


def test_what_is_signed_was_signed_after_it_came_and_the_urgent_first() -> None:
    at = now()
    exams, shares = plan(ROWS, at), []
    for priority in Priority:  # from the most to the least urgent
        ordered = [one for one in exams if one.order["priority"] == priority]
        shares.append(sum(one.signed is not None for one in ordered) / len(ordered))
    assert min(shares[:2]) > 1.5 * shares[2]
    assert 0.2 < shares[-1] < 0.6
    assert all(one.received < one.signed < at for one in exams if one.signed is not None)


@pytest.fixture(autouse=True)
def folders(settings, tmp_path) -> Iterator[None]:
    settings.VAR_DIR, settings.LYNCEUS_DEMO = tmp_path / "var", True
    yield
    decoding.forget_decoders()


@pytest.fixture
def filled(db) -> None:
    fill_the_day(seed(), "tiny")


def test_the_list_tells_it(filled, client) -> None:
    day = Study.objects.filter(AccessionNumber__startswith=PREFIX)
    assert day.count() == FILMS["tiny"]
    client.force_login(User.objects.get(email=accounts()["radiologist"].email))
    page = client.get(reverse("radiology:worklist"), {"q": PREFIX, "reading": "all"}).content.decode()
    assert page.count("data-href") == FILMS["tiny"]
    assert "exam clock" not in page
    assert page.count("SYNTHETIC chest") == FILMS["tiny"]
    waiting = client.get(reverse("radiology:worklist")).content.decode()
    assert "second read" in waiting
    assert "Please finish this one" not in waiting
    assert "films wait for it" in waiting or "film waits for it" in waiting
    assert Read.objects.filter(signed_at__isnull=False).exists()
    assert SecondRead.objects.filter(read=None).exists()
    assert not Instance.objects.filter(received_at__gt=now() - timedelta(seconds=1)).exists()


def test_films_dated_by_the_drawing_would_tell_of_a_clock(db, client, monkeypatch) -> None:
    monkeypatch.setattr(films, "TAKEN_BEFORE", timedelta(days=40, hours=1))
    fill_the_day(seed(), "tiny")
    client.force_login(User.objects.get(email=accounts()["radiologist"].email))
    assert "exam clock 40 days before receipt" in client.get(reverse("radiology:worklist")).content.decode()


def test_another_start_adds_nothing(filled) -> None:
    fill_the_day(seed(), "tiny")
    assert Study.objects.count() == FILMS["tiny"]


def fail(*_: object) -> None:
    raise RuntimeError("the power went")


@pytest.mark.django_db(transaction=True)
def test_cut_off_it_leaves_no_half_of_a_day(monkeypatch) -> None:
    monkeypatch.setattr(days, "_ask_for_second_reads", fail)
    with pytest.raises(RuntimeError):
        fill_the_day(seed(), "tiny")
    assert not Study.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_without_the_transaction_half_of_it_would_stay_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(days, "_ask_for_second_reads", fail)
    monkeypatch.setattr(days, "transaction", SimpleNamespace(atomic=contextlib.nullcontext))
    with pytest.raises(RuntimeError):
        fill_the_day(seed(), "tiny")
    assert Study.objects.exists()
