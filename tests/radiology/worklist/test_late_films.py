"""Films that arrive after a study was opened, or signed: nobody may miss them."""

from __future__ import annotations

import re
import threading

import pytest
from django.db import connection

from apps.audit.models import AuditEvent
from apps.radiology.intake.services import ingest
from apps.radiology.models import Study
from apps.radiology.reading.services import reads
from apps.radiology.studies.services import late_films
from tests.radiology.conftest import film
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


# Between the page that was looked at and the press of its button.


def films_on(page) -> str:
    """What the page's form says it shows."""
    return re.findall(r'name="films" value="([^"]+)"', page.content.decode())[0]


@pytest.fixture
def committed(radiologist, study) -> Study:
    for what in ("", "commit/"):
        radiologist.post(f"/radiology/studies/{study.public_id}/read/{what}")
    return study


def sign(client, study: Study, films: str):
    return client.post(f"/radiology/studies/{study.public_id}/read/sign/", {"films": films, "text": "Clear?"})


def test_a_film_that_the_page_had_not_shown_keeps_it_unsigned(radiologist, committed, another) -> None:
    shown = films_on(page_of(radiologist, committed))
    another()
    refused = sign(radiologist, committed, shown)
    assert refused.status_code == 409
    assert "films_changed" in refused.content.decode()
    assert "A film of this study came or went while you read: look again." in refused.content.decode()
    read = committed.reads.get()
    assert (read.state, read.text) == ("preliminary", "Clear?")  # what was written is kept
    assert sign(radiologist, committed, films_on(page_of(radiologist, committed))).status_code == 302


def test_without_the_check_it_would_be_signed_unseen(radiologist, committed, another, monkeypatch) -> None:
    monkeypatch.setattr(reads, "check_films", lambda study, shown: None)
    shown = films_on(page_of(radiologist, committed))
    another()
    assert sign(radiologist, committed, shown).status_code == 302
    assert ids(radiologist.get("/radiology/")) == []  # and nobody would hear of it


def test_seen_and_addenda_settle_what_the_page_showed_alone(radiologist, signed, another) -> None:
    another()
    page = page_of(radiologist, signed)
    banner, panel = re.findall(r'name="films" value="([^"]+)"', page.content.decode())
    assert banner == panel
    another()
    answer = radiologist.post(
        f"/radiology/studies/{signed.public_id}/late-films/seen/", {"films": banner}, follow=True
    )
    assert "came or went while you read" in answer.content.decode()
    radiologist.post(
        f"/radiology/studies/{signed.public_id}/read/add/", {"addendum": "One more film.", "films": panel}
    )
    assert signed.reads.get().addenda.count() == 1
    assert ids(radiologist.get("/radiology/")) == [str(signed.public_id)]
    again = films_on(page_of(radiologist, signed))
    radiologist.post(f"/radiology/studies/{signed.public_id}/late-films/seen/", {"films": again})
    assert ids(radiologist.get("/radiology/")) == []


def test_without_that_check_a_late_film_would_be_called_seen(
    radiologist, signed, another, monkeypatch
) -> None:
    monkeypatch.setattr(late_films, "check_films", lambda study, shown: None)
    another()
    banner = films_on(page_of(radiologist, signed))
    another()
    radiologist.post(f"/radiology/studies/{signed.public_id}/late-films/seen/", {"films": banner})
    assert ids(radiologist.get("/radiology/")) == []


class TestAtTheSameMoment:
    """The film's transaction is open when the signature comes: it is there, and no page can know."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def race(self, radiologist, committed, arrive, monkeypatch):
        """The status of a signature that comes while a film is being stored."""

        def run() -> int:
            shown = films_on(page_of(radiologist, committed))
            inside, go_on, real = threading.Event(), threading.Event(), ingest.sum_up

            def slow(pk: int) -> None:
                inside.set()
                go_on.wait(10)
                real(pk)

            monkeypatch.setattr(ingest, "sum_up", slow)

            def store() -> None:
                try:
                    arrive(film(StudyInstanceUID=committed.StudyInstanceUID, seed=9))
                finally:
                    connection.close()

            sender = threading.Thread(target=store)
            sender.start()
            assert inside.wait(10)
            threading.Timer(1.0, go_on.set).start()  # the signature waits for it meanwhile, or does not
            status = sign(radiologist, committed, shown).status_code
            go_on.set()
            sender.join(30)
            return status

        return run

    def test_the_signature_waits_and_is_refused(self, race, radiologist, committed) -> None:
        assert race() == 409
        assert committed.instances.count() == 2
        assert committed.reads.get().state == "preliminary"

    def test_without_the_lock_both_would_pass_each_other(self, race, committed, monkeypatch) -> None:
        monkeypatch.setattr(reads, "touch", lambda pk: None)
        assert race() == 302
        committed.refresh_from_db()
        assert committed.instances.count() == 2
        assert not committed.late_films  # nobody would hear of the second
