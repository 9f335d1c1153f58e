"""Films that arrive after a study was opened, or signed: nobody may miss them."""

from __future__ import annotations

import pytest

from apps.audit.models import AuditEvent
from apps.radiology.models import Study
from apps.radiology.services import ingest
from tests.radiology.worklist.conftest import address, ids, row_of


@pytest.fixture
def study(received) -> Study:
    return received().study


@pytest.fixture
def another(study, received):
    return lambda: received(StudyInstanceUID=study.StudyInstanceUID)


def page_of(client, study: Study):
    return client.get(f"/radiology/studies/{study.public_id}/")


@pytest.fixture
def signed(radiologist, study) -> Study:
    for what in ("", "commit/", "sign/"):
        radiologist.post(f"/radiology/studies/{study.public_id}/read/{what}")
    return study


def test_after_the_page_was_opened(radiologist, study, another) -> None:
    live = address(page_of(radiologist, study), "changes")
    assert radiologist.get(live).status_code == 204
    another()
    answer = radiologist.get(live)
    assert "1 film came after you opened this study" in answer.content.decode()
    assert (
        "1 film came"
        in radiologist.get(address(answer, "changes").replace("seen=", "seen=x")).content.decode()
    )
    assert "came after you opened" not in page_of(radiologist, study).content.decode()


def test_after_a_draft_was_begun_also_on_a_page_opened_later(radiologist, study, another) -> None:
    radiologist.post(f"/radiology/studies/{study.public_id}/read/")
    another()
    assert "1 film came after you opened this study" in page_of(radiologist, study).content.decode()


@pytest.mark.parametrize("opened", ["", "nonsense", "9999-01-01T00:00:00", "2026-01-01"])
def test_a_time_that_is_none_is_no_error(radiologist, study, opened) -> None:
    answer = radiologist.get(f"/radiology/studies/{study.public_id}/changes/?opened={opened}")
    assert answer.status_code == 200


def test_after_signing_the_study_is_to_be_read_again(radiologist, signed, another) -> None:
    assert ids(radiologist.get("/radiology/")) == []
    another()
    page = radiologist.get("/radiology/")
    assert "films came after signing" in row_of(page, signed)
    assert "1 film came after this study was signed" in page_of(radiologist, signed).content.decode()
    answer = radiologist.post(f"/radiology/studies/{signed.public_id}/late-films/seen/")
    assert answer.status_code == 302
    assert ids(radiologist.get("/radiology/")) == []
    assert "came after this study was signed" not in page_of(radiologist, signed).content.decode()
    assert AuditEvent.objects.filter(action="study.late_films_seen").count() == 1


def test_an_addendum_settles_it(radiologist, signed, another) -> None:
    another()
    radiologist.post(f"/radiology/studies/{signed.public_id}/read/add/", {"addendum": "The late film too."})
    assert ids(radiologist.get("/radiology/")) == []


def test_without_the_note_the_films_would_lie_unread(radiologist, signed, another, monkeypatch) -> None:
    monkeypatch.setattr(ingest, "note_late_film", lambda study: None)
    another()
    assert ids(radiologist.get("/radiology/")) == []
