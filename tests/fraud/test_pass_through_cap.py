"""The cap on what is let through in a day, while many transactions draw at the same moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import Site
from apps.core.sql import Answered
from apps.fraud.decide.services import pass_through
from apps.fraud.models import PassThroughDay
from apps.fraud.rules.rules import PassingThrough

pytestmark = pytest.mark.django_db(transaction=True)
MANY, AMOUNT, CAP = 8, 300, 1000


class _Item:
    """As much of what was judged as the cap looks at."""

    row = type("Row", (), {"amount_reporting_minor": AMOUNT})


def draw_at_once(site: Site) -> int:
    """How many of MANY transactions let their payment through."""
    passing, passed = PassingThrough(1, 1, 1.0, CAP), []
    ready = threading.Barrier(MANY)

    def draw() -> None:
        try:
            ready.wait()
            with transaction.atomic():
                passed.append(len(pass_through._within_cap(site, [_Item()], [0], passing)))
        finally:
            connection.close()

    threads = [threading.Thread(target=draw) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(passed)


def test_together_they_stay_within_the_cap(site) -> None:
    assert draw_at_once(site) == CAP // AMOUNT
    assert PassThroughDay.objects.get().drawn_minor == MANY * AMOUNT


def test_by_looking_first_and_writing_after_they_would_not(site, monkeypatch) -> None:
    PassThroughDay.objects.create(site=site, day="2026-01-01", drawn_minor=0)
    looked = threading.Barrier(MANY)

    def look_then_write(statement: str, values: list[Any]) -> Answered:
        answer = Answered()
        before = PassThroughDay.objects.get().drawn_minor
        looked.wait()
        PassThroughDay.objects.update(drawn_minor=before + values[2])
        answer.rows = [(before + values[2],)]
        return answer

    monkeypatch.setattr(pass_through, "run", look_then_write)
    assert draw_at_once(site) == MANY
