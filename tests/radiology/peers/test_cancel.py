"""A C-MOVE that goes on for longer or brings more than it may is cancelled; what came by then has come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation  # type: ignore[attr-defined]

from apps.radiology.exchange.scu import MOVE, move
from apps.radiology.models import DicomNode, DicomPeer, Instance
from tests.integration.running import free_port
from tests.radiology.conftest import film

pytestmark = pytest.mark.django_db(transaction=True)
FILMS = 30


@pytest.fixture
def archive(site: Any, port: int) -> Iterator[DicomPeer]:
    """One that sends film after film, and stops when it is told to."""
    DicomNode.objects.create(site=site, AETitle="ARCHIVE")
    study = film().StudyInstanceUID

    def on_move(event: Any) -> Any:
        yield "127.0.0.1", port, {"ae_title": "LYNCEUS"}
        yield FILMS
        for seed in range(FILMS):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, film(seed=seed, StudyInstanceUID=study)

    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(MOVE)
    entity.add_requested_context(DigitalXRayImageStorageForPresentation)
    number = free_port()
    server = entity.start_server(("127.0.0.1", number), block=False, evt_handlers=[(evt.EVT_C_MOVE, on_move)])
    yield DicomPeer(site=site, AETitle="ARCHIVE", host="127.0.0.1", port=number)
    server.shutdown()


def brought(archive: DicomPeer, **limits: Any) -> int:
    given = {"until": time.monotonic() + 60, "enough": lambda: False, **limits}
    moved = move(archive, "STUDY", {"StudyInstanceUID": "1.2"}, **given)
    assert moved.completed == Instance.objects.count()
    return moved.completed


def test_all_come_where_nothing_is_spent(archive) -> None:
    assert brought(archive) == FILMS


def test_it_ends_once_it_is_enough(archive) -> None:
    assert 2 <= brought(archive, enough=lambda: Instance.objects.count() >= 2) < FILMS


def test_it_ends_when_its_time_is_over(archive) -> None:
    assert brought(archive, until=time.monotonic()) < FILMS
