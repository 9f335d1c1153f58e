"""What needs eyes first: order, then the AI's raise, then age; and nobody waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection

from apps.radiology.models import Study, rank_of
from apps.radiology.studies.services import orders, studies
from apps.radiology.studies.services.studies import sum_up
from apps.radiology.worklist.worklist import _ranked
from tests.radiology.conftest import as_file, film
from tests.radiology.test_rejections import SAFETY, note
from tests.radiology.worklist.conftest import ids

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)


def aged(study: Study, **back: float) -> None:
    """As if it had been received earlier, and ranked then."""
    Study.objects.filter(pk=study.pk).update(received_at=study.received_at - timedelta(**back))
    sum_up(study.pk)


def test_order_first_then_the_raise_then_age(radiologist, ordered, judged) -> None:
    expected = []
    for priority in ("routine", "urgent", "stat"):  # the wrong way round as they come
        for raised in (False, True):
            group = [ordered(priority) for _ in range(2)]
            for study in group:
                if raised:
                    judged(study.instances.get(), Effusion=(0.9, 0.4))
            expected[:0] = [str(one.public_id) for one in group]
    assert ids(radiologist.get("/radiology/")) == expected


def test_the_model_only_raises_and_never_above_the_next_priority() -> None:
    for priority in ("stat", "urgent", "routine"):
        assert rank_of(AT, priority, raised=True) < rank_of(AT, priority, raised=False)
    ranks = [
        rank_of(AT, one, raised=raised) for one in ("stat", "urgent", "routine") for raised in (True, False)
    ]
    assert all(before < after for before, after in pairwise(ranks))


def test_what_was_judged_and_not_raised_keeps_its_place(radiologist, received, judged) -> None:
    first, second = received(), received()
    before = ids(radiologist.get("/radiology/"))
    judged(first, Effusion=(0.1, 0.4))
    assert ids(radiologist.get("/radiology/")) == before
    assert Study.objects.get(pk=first.study_id).rank_at == first.study.rank_at
    assert second.study.rank_at > first.study.rank_at


@pytest.mark.parametrize(("priority", "days"), [("urgent", 3.1), ("stat", 14.1)])
def test_a_routine_study_that_waits_overtakes_what_comes_much_later(
    radiologist, ordered, priority, days
) -> None:
    later, waiting = ordered(priority), ordered()
    assert ids(radiologist.get("/radiology/"))[0] == str(later.public_id)
    aged(waiting, days=days)
    assert ids(radiologist.get("/radiology/"))[0] == str(waiting.public_id)


def test_without_a_head_start_that_ends_it_would_wait_for_ever(radiologist, ordered, monkeypatch) -> None:
    """Sabotage: a STAT study whose start never ends."""
    later, waiting = ordered("stat"), ordered()

    def endless(received_at: datetime, priority: str, *, raised: bool) -> datetime:
        return rank_of(received_at, priority, raised=raised) - timedelta(days=9999 * (priority == "stat"))

    monkeypatch.setattr(studies, "rank_of", endless)
    sum_up(later.pk)
    aged(waiting, days=365)
    assert ids(radiologist.get("/radiology/"))[0] == str(later.public_id)


def test_the_rank_follows_what_it_rests_on(radiologist, ordered, judged, send, order) -> None:
    first, second = ordered(), ordered()
    data = film(StudyInstanceUID=second.StudyInstanceUID)
    [row] = send(as_file(data))
    assert row["state"] == "queued"
    judged(second.instances.last(), Effusion=(0.9, 0.4))
    raised = [str(second.public_id), str(first.public_id)]
    assert ids(radiologist.get("/radiology/")) == raised
    send(as_file(note(SAFETY, data)))  # the film that raised it is out of use
    assert ids(radiologist.get("/radiology/")) == raised[::-1]
    order(second.StudyInstanceUID, priority="stat")
    assert ids(radiologist.get("/radiology/")) == raised
    order(second.StudyInstanceUID, priority="routine")
    assert ids(radiologist.get("/radiology/")) == raised[::-1]


@pytest.mark.parametrize("place", [orders, studies])
def test_a_change_that_forgets_to_rank_is_noticed(
    radiologist, ordered, judged, order, monkeypatch, place
) -> None:
    """Sabotage: with either place blind, the order of the list is the order of arrival."""
    first, second = ordered(), ordered()
    monkeypatch.setattr(place, "place_of", lambda study: study.received_at)
    if place is studies:
        judged(second.instances.get(), Effusion=(0.9, 0.4))
    else:
        order(second.StudyInstanceUID, priority="stat")
    assert ids(radiologist.get("/radiology/"))[0] == str(first.public_id)


def test_the_list_is_read_from_one_index_without_sorting(radiologist, ordered) -> None:
    study = ordered()
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
        )
        plan = _ranked(study.site_id)[:50].explain()
    assert "study_to_read" in plan
    assert "Sort" not in plan


def test_next_goes_by_the_same_order(radiologist, ordered, judged) -> None:
    routine, urgent, raised, stat = ordered(), ordered("urgent"), ordered(), ordered("stat")
    judged(raised.instances.get(), Effusion=(0.9, 0.4))
    for study in (stat, urgent, raised, routine):
        page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
        assert (f'hx-get="/radiology/studies/{urgent.public_id}/"' in page) is (study == stat)
        answer = radiologist.post("/radiology/next/")
        assert answer["location"] == f"/radiology/studies/{study.public_id}/"
