"""Saved views, filters by day and modality, pages by key, locks that end: the desk round the list."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.core.clock import now
from apps.core.saved_views import VIEWS_MAX
from apps.radiology.models import Read, SavedView, Study, StudyLock
from apps.radiology.worklist import standing, worklist, worklist_views
from tests.radiology.worklist.conftest import address, ids, row_of


@pytest.fixture
def colleague(make_user) -> Client:
    person = Client()
    person.force_login(make_user("radiologist", email="c@example.org", full_name="Dr Colleague"))
    return person


def test_a_view_is_kept_under_a_name_and_a_digit_key(radiologist, received, colleague) -> None:
    received()
    answer = radiologist.post("/radiology/views/", {"name": "Dx", "modality": "DX", "q": "4711"})
    assert answer["location"] == "/radiology/?modality=DX"  # never the patient searched for
    page = radiologist.get("/radiology/").content.decode()
    assert re.search(r'\?modality=DX"\s+data-key="1"\s+data-key-label="View: Dx"', page)
    radiologist.post("/radiology/views/", {"name": "Dx", "modality": "CR"})
    view = SavedView.objects.get()
    assert view.filters == {"modality": "CR"}
    assert "View: Dx" not in colleague.get("/radiology/").content.decode()
    assert colleague.post(f"/radiology/views/{view.pk}/delete/").status_code == 404
    assert radiologist.post(f"/radiology/views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()


def test_views_have_a_name_a_filter_and_a_limit(radiologist) -> None:
    for form in ({"name": "", "modality": "DX"}, {"name": "x" * 41, "modality": "DX"}, {"name": "none"},
                 {"name": "bad", "modality": "nothing"}):  # fmt: skip
        assert radiologist.post("/radiology/views/", form).status_code == 422
    for number in range(VIEWS_MAX):
        assert (
            radiologist.post("/radiology/views/", {"name": str(number), "reading": "all"}).status_code == 302
        )
    assert radiologist.post("/radiology/views/", {"name": "more", "reading": "all"}).status_code == 409
    assert radiologist.post("/radiology/views/", {"name": "0", "reading": "mine"}).status_code == 302


def test_by_day_modality_reader_and_state(radiologist, received, colleague) -> None:
    today, old, other = (received(PatientID=str(n)).study for n in range(3))
    Study.objects.filter(pk=old.pk).update(received_at=now() - timedelta(days=40))
    other.instances.update(Modality="CR")
    radiologist.post(f"/radiology/studies/{today.public_id}/read/")
    day = timezone.localdate()
    for query, found in {
        "received=today": [today, other],
        "received=yesterday": [],
        f"day={day - timedelta(days=40)}": [old],
        "day=nonsense": [today, old, other],
        "modality=CR": [other],
        "reading=mine": [today],
        "reading=begun": [today],
        "reading=all": [other, today],  # of the last days, the latest first
        "reading=all&q=1": [old],
        "reading=signed": [],
    }.items():
        listed = ids(radiologist.get(f"/radiology/?{query}"))
        assert sorted(listed) == sorted(str(one.public_id) for one in found), query
    assert "last 30 days" in radiologist.get("/radiology/?reading=all").content.decode()
    assert ids(colleague.get("/radiology/?reading=mine")) == []


def test_a_search_among_those_to_read_offers_all(radiologist, received) -> None:
    received()
    page = radiologist.get("/radiology/?q=999").content.decode()
    assert "q=999&amp;reading=all" in page


def test_pages_go_forth_and_back_by_key(radiologist, received, monkeypatch) -> None:
    monkeypatch.setattr(worklist, "PAGE_ROWS", 2)
    studies = [str(received().study.public_id) for _ in range(5)]
    link = {name: re.compile(rf'rel="{name}"[^>]*?href="([^"]+)"', re.S) for name in ("next", "prev")}
    page, seen = radiologist.get("/radiology/"), []
    while True:
        seen.append(ids(page))
        found = link["next"].search(page.content.decode())
        if found is None:
            break
        page = radiologist.get("/radiology/" + found[1])
        assert radiologist.get(address(page)).status_code == 204  # the live part is of this page
    assert seen == [studies[:2], studies[2:4], studies[4:]]
    page = radiologist.get("/radiology/" + link["prev"].search(page.content.decode())[1])
    assert ids(page) == studies[2:4]
    page = radiologist.get("/radiology/" + link["prev"].search(page.content.decode())[1])
    assert ids(page) == studies[:2]
    assert link["prev"].search(page.content.decode()) is None
    archive = radiologist.get("/radiology/?reading=all")
    assert ids(archive) == studies[:-3:-1]
    following = radiologist.get(
        "/radiology/" + link["next"].search(archive.content.decode())[1].replace("&amp;", "&")
    )
    assert ids(following) == studies[2:0:-1]


@pytest.mark.parametrize(
    "key", ["x", "1", "-", "99999999999999999-1", "-99999999999999999-1", "1e9-2", "%00"]
)
def test_a_key_that_is_none_is_the_first_page(radiologist, received, key) -> None:
    study = received().study
    for name in ("after", "before"):
        answer = radiologist.get(f"/radiology/?{name}={key}")
        assert answer.status_code == 200
        assert ids(answer) in ([str(study.public_id)], [])


def test_a_colleagues_lock_and_its_end_are_seen_by_the_live_list(radiologist, received, colleague) -> None:
    study = received().study
    live = address(radiologist.get("/radiology/"))
    colleague.post(f"/radiology/studies/{study.public_id}/read/")
    answer = radiologist.get(live)
    assert "Dr Colleague reads" in row_of(answer, study)
    live = address(answer)
    assert radiologist.get(live).status_code == 204
    StudyLock.objects.update(expires_at=now() - timedelta(seconds=1))  # no row of a study changes
    assert "draft" in row_of(radiologist.get(live), study)


def test_the_check_would_notice_a_list_that_looks_at_studies_alone(
    radiologist, received, colleague, monkeypatch
) -> None:
    """Sabotage: a mark of what the rows of studies say."""
    monkeypatch.setattr(
        worklist_views, "_mark", lambda page, rows: str([row.study.changed_at for row in rows])
    )
    study = received().study
    colleague.post(f"/radiology/studies/{study.public_id}/read/")
    live = address(radiologist.get("/radiology/"))
    StudyLock.objects.update(expires_at=now() - timedelta(seconds=1))
    assert radiologist.get(live).status_code == 204


def test_a_draft_is_there_after_an_idle_logout(radiologist, received, settings) -> None:
    study = received().study
    door = f"/radiology/studies/{study.public_id}/read/"
    radiologist.post(door)
    radiologist.post(f"{door}keep/", {"text": "Half a sentence"})
    user = Read.objects.get().reader
    session = radiologist.session
    session["seen_at"] = 0
    session.save()
    assert radiologist.get("/radiology/").status_code == 302  # signed out
    radiologist.force_login(user)
    radiologist.post(door)
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "Half a sentence" in page


def test_counts_stop_where_nobody_reads_on(radiologist, received, monkeypatch) -> None:
    monkeypatch.setattr(standing, "COUNT_MAX", 2)
    monkeypatch.setattr(worklist_views, "COUNT_MAX", 2)
    for _ in range(3):
        received()
    assert "2 or more studies to read" in radiologist.get("/radiology/").content.decode()
