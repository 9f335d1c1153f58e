"""A correction that arrives while a worker finishes the same film."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.radiology.analysis.services import outcomes
from apps.radiology.analysis.services.claims import claim
from apps.radiology.models import Instance, Status, Study
from tests.radiology.conftest import as_file, film
from tests.radiology.test_corrections import again

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beside(received, arrive, monkeypatch) -> Callable[[], list[BaseException]]:
    """The worker has the instance's row and goes on to its study's only after the correction has come as far
    as it can. Returns what went wrong."""

    def race() -> list[BaseException]:
        data, wrong = film(), []
        instance = received(as_file(data))
        claimed = claim(instance.pk)
        assert claimed
        held, corrected, real = threading.Event(), threading.Event(), outcomes.sum_up

        def slow(study_id: int) -> None:
            held.set()
            corrected.wait(2)  # in vain: it waits for this one
            real(study_id)

        monkeypatch.setattr(outcomes, "sum_up", slow)

        def run(work: Callable[[], Any]) -> None:
            try:
                work()
            except BaseException as error:
                wrong.append(error)
            finally:
                connection.close()

        def correct() -> None:
            held.wait(10)
            arrive(again(data, PatientID="4712"), trusted=True)
            corrected.set()

        outcome = outcomes.Outcome(claimed, Status.NOT_ANALYSED, "view", "Not analysed.")
        threads = [threading.Thread(target=run, args=(lambda: outcomes.finish([outcome]),))]
        threads.append(threading.Thread(target=run, args=(correct,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return wrong

    return race


def test_neither_waits_for_the_other_for_ever(beside) -> None:
    assert beside() == []
    assert Study.objects.get().PatientID == "4712"
    assert Instance.objects.get().status == Status.NOT_ANALYSED
