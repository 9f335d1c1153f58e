"""The DICOM door: a real client against the real listener, over TCP."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import (
    DigitalXRayImageStorageForPresentation,  # type: ignore[attr-defined]
    Verification,  # type: ignore[attr-defined]
)

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.radiology.common.store import film_path
from apps.radiology.intake import listener
from apps.radiology.intake.listener import start_listener
from apps.radiology.models import DicomNode, Instance, Study
from tests.integration.running import eventually
from tests.radiology.conftest import film

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def port(site: Site, settings) -> Iterator[int]:
    DicomNode.objects.create(site=site, AETitle="MODALITY")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.LYNCEUS_DICOM_PORT = free.getsockname()[1]
    settings.LYNCEUS_DICOM_HOST = "127.0.0.1"
    server = start_listener()
    yield settings.LYNCEUS_DICOM_PORT
    server.shutdown()


@pytest.fixture
def associate(port: int) -> Iterator[Callable[..., Any]]:
    opened = []

    def connect(calling: str = "MODALITY", called: str = "LYNCEUS") -> Any:
        entity = AE(ae_title=calling)
        entity.add_requested_context(Verification)
        entity.add_requested_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)
        opened.append(entity.associate("127.0.0.1", port, ae_title=called))
        return opened[-1]

    yield connect
    for association in opened:
        if association.is_established:
            association.release()


@pytest.fixture
def status_of(associate: Callable[..., Any]) -> Callable[[Dataset], int]:
    def send(data: Dataset) -> int:
        association = associate()
        assert association.is_established
        return association.send_c_store(data).Status

    return send


def test_it_works(status_of, stored, site) -> None:
    data = film()
    assert status_of(data) == 0x0000
    instance = Instance.objects.get()
    assert (instance.site, instance.SOPInstanceUID) == (site, data.SOPInstanceUID)
    assert film_path(site, instance.file_sha256).is_file()
    assert stored() == [f"{instance.file_sha256}.dcm"]
    assert AuditEvent.objects.get(action="study.received").detail["origin"] == "c-store"


def test_echo(associate) -> None:
    assert associate().send_c_echo().Status == 0x0000


@pytest.mark.parametrize("titles", [("STRANGER", "LYNCEUS"), ("MODALITY", "OTHER")])
def test_strangers_and_wrong_numbers_are_rejected(associate, titles) -> None:
    association = associate(*titles)
    assert association.is_rejected
    assert not association.is_established


def test_an_inactive_node_is_a_stranger(associate) -> None:
    DicomNode.objects.update(is_active=False)
    assert associate().is_rejected


def test_without_the_check_a_stranger_would_get_in(associate, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.intake.listener._calling", lambda event: "MODALITY")
    assert associate("STRANGER").is_established


def test_a_node_is_forgotten_while_it_is_connected(associate) -> None:
    association = associate()
    DicomNode.objects.all().delete()
    assert association.send_c_store(film()).Status == 0x0124
    assert not Study.objects.exists()


def test_sending_again_succeeds_and_other_pixels_do_not(status_of, stored) -> None:
    data = film()
    assert [status_of(data), status_of(data)] == [0x0000, 0x0000]
    changed = film(seed=1, SOPInstanceUID=data.SOPInstanceUID, StudyInstanceUID=data.StudyInstanceUID)
    assert status_of(changed) == 0x0111
    assert status_of(film(StudyInstanceUID=data.StudyInstanceUID, PatientID="4712")) == 0xA900
    assert len(stored()) == 3  # the other image and its picture lie aside


def test_a_film_that_came_by_browser_is_known(status_of, send) -> None:
    from tests.radiology.conftest import as_file

    data = film()
    send(as_file(data))
    assert status_of(data) == 0x0000
    assert Instance.objects.count() == 1


@pytest.mark.parametrize("changes", [{"PixelData": None}, {"Rows": 0}, {"StudyInstanceUID": ""}])
def test_a_refused_file_gets_its_status_and_leaves_nothing(status_of, stored, changes) -> None:
    assert status_of(film(**changes)) == 0xC000
    assert not Study.objects.exists()
    assert stored() == []


def test_success_is_said_only_after_the_commit(status_of, stored, monkeypatch) -> None:
    """A failure at the very end of the transaction must not be answered with success."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr("apps.radiology.intake.services.ingest.record", fail)
    data = film()
    assert status_of(data) == 0xA700
    assert not Study.objects.exists()
    assert stored() == []
    monkeypatch.undo()
    assert status_of(data) == 0x0000


def test_a_database_that_is_away_is_out_of_resources_and_no_success(associate, stored, monkeypatch) -> None:
    association = associate()

    def away(*args: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("apps.radiology.intake.listener.node_titled", away)
    assert association.send_c_store(film()).Status == 0xA700
    assert stored() == []
    assert associate().is_rejected


def test_a_full_disk_is_out_of_resources(status_of, monkeypatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("apps.radiology.intake.services.ingest.keep", full)
    assert status_of(film()) == 0xA700
    assert not Study.objects.exists()


def test_the_received_copy_outside_the_store_is_gone(status_of, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = {path.name for path in tmp_path.iterdir()}
    status_of(film())
    status_of(film(PixelData=None))
    assert {path.name for path in tmp_path.iterdir()} - before <= {"var"}


def test_a_disk_that_fails_while_the_film_is_read_is_out_of_resources(status_of, failing_disk) -> None:
    data = film()
    with failing_disk():
        assert status_of(data) == 0xA700
    assert status_of(data) == 0x0000


def too_much() -> Dataset:
    return film(Rows=2048, Columns=2048, PixelData=bytes(2048 * 2048 * 2))


def test_a_sender_who_does_not_stop_is_hung_up_on(associate, stored, settings, monkeypatch, tmp_path) -> None:
    """The file of the instance under way never grows much above the limit, and is gone afterwards."""
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 1
    (tmp_path / "received").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "received"))
    sizes, real = [], listener._half_received

    def watched(event: Any) -> Any:
        path = real(event)
        sizes.append(path.stat().st_size if path and path.exists() else 0)
        return path

    monkeypatch.setattr(listener, "_half_received", watched)
    association = associate()
    assert not association.send_c_store(too_much())  # no status: the line is dead
    association.join(10)
    assert association.is_aborted
    assert 1024**2 < max(sizes) < 1024**2 + 129 * 1024
    assert not stored()
    eventually(lambda: not list((tmp_path / "received").iterdir()), of="the removal")
    assert associate().send_c_store(film()).Status == 0x0000


def test_without_the_count_all_of_it_is_written(associate, settings, monkeypatch) -> None:
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 1
    monkeypatch.setattr(listener, "FILE_META_BYTES", 2**40)
    assert associate().send_c_store(too_much()).Status == 0xC000


def test_what_a_sender_left_half_sent_is_removed(associate, monkeypatch, tmp_path) -> None:
    (tmp_path / "received").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "received"))
    association = associate()
    send, sent = association.dul.socket.send, []

    def cut(data: bytes) -> None:
        sent.append(data)
        if len(sent) > 20:
            association.dul.socket._shutdown_socket()
        else:
            send(data)

    monkeypatch.setattr(association.dul.socket, "send", cut)
    association.send_c_store(too_much())
    eventually(lambda: not list((tmp_path / "received").iterdir()), of="the removal")
