"""Rejection notes by DICOMweb and C-STORE, and one that comes at the same moment as its film."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pydicom.dataset import Dataset

from apps.accounts.models import Site
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import incoming
from apps.radiology.intake.services import ingest, rejections
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.models import Instance
from ml.radiology.rejection import KEY_OBJECT_SELECTION
from tests.radiology.conftest import as_file, film
from tests.radiology.test_cstore import associate, port  # noqa: F401
from tests.radiology.test_rejections import QUALITY, SAFETY, note
from tests.radiology.test_stow import failures, stow  # noqa: F401


def test_by_dicomweb(stow, seen, decoded) -> None:  # noqa: F811
    data = decoded()
    document = note(SAFETY, data, StudyInstanceUID=data.StudyInstanceUID)
    answer = stow(as_file(document), study=data.StudyInstanceUID)
    assert answer.status_code == 200
    [item] = Dataset.from_json(answer.content.decode()).ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == document.SOPInstanceUID
    assert not item.RetrieveURL
    assert seen(data) == []
    assert failures(stow(as_file(note(SAFETY, data)), study="1.2.3"))[0][1] == 0xA900


@pytest.mark.django_db(transaction=True)
def test_by_c_store(associate, site) -> None:  # noqa: F811
    from pynetdicom import AE

    data = film()
    entity = AE(ae_title="MODALITY")
    entity.add_requested_context(data.SOPClassUID)
    entity.add_requested_context(KEY_OBJECT_SELECTION)
    associate()  # the node, and a listener that answers
    from django.conf import settings

    association = entity.associate("127.0.0.1", settings.LYNCEUS_DICOM_PORT, ae_title="LYNCEUS")
    document = note(QUALITY, data)
    for one in (data, document):
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
        assert association.send_c_store(one).Status == 0x0000
    association.release()
    assert Instance.objects.get().rejected_by.code == QUALITY


@pytest.fixture
def film_beside_a_note(site: Site, monkeypatch) -> Callable[[], Instance]:
    """A film's transaction looks for notes, then waits until a note was received, then commits."""

    def race() -> Instance:
        data = film()
        looked, noted, real = threading.Event(), threading.Event(), ingest.note_against

        def slow(*args: Any) -> Any:
            found = real(*args)
            looked.set()
            noted.wait(2)  # for ever in line behind this film, where the lock holds
            return found

        monkeypatch.setattr(ingest, "note_against", slow)

        def take(content: bytes, then: Callable[[], None]) -> None:
            try:
                with incoming() as path:
                    path.write_bytes(content)
                    ingest_instance(path, sender=Sender(site, "stow"))
                then()
            finally:
                connection.close()

        a_film = threading.Thread(target=take, args=(as_file(data), lambda: None))
        a_note = threading.Thread(target=take, args=(as_file(note(SAFETY, data)), noted.set))
        a_film.start()
        looked.wait(10)
        a_note.start()
        for thread in (a_film, a_note):
            thread.join(30)
        return Instance.objects.get()

    return race


@pytest.mark.django_db(transaction=True)
def test_a_film_and_its_note_at_once_do_not_miss_each_other(film_beside_a_note) -> None:
    assert film_beside_a_note().rejected_by is not None


@pytest.mark.django_db(transaction=True)
def test_without_the_line_they_would(film_beside_a_note, monkeypatch) -> None:
    for where in (ingest, rejections):
        monkeypatch.setattr(where, "stand_in_line", lambda *args, **kwargs: None)
    assert film_beside_a_note().rejected_by is None
