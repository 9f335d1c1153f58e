"""Orthanc as it is: it sends to us, receives from us, and answers what we ask."""

from __future__ import annotations

import pytest
from pydicom.uid import RLELossless

from apps.radiology.documents.contents import files_of
from apps.radiology.exchange import scu
from apps.radiology.exchange.scu import PeerFailed, echo, find, store
from apps.radiology.intake.listener import SUCCESS
from apps.radiology.models import DicomPeer, Instance, Study
from tests.radiology.conftest import film

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """Where everything else is tested at the same time an answer takes longer than a desk would wait."""
    for name in ("CONNECT_S", "ACSE_S"):
        monkeypatch.setattr(scu, name, 60)


def nowhere(**other: object) -> DicomPeer:
    return DicomPeer(**{"AETitle": "GONE", "host": "127.0.0.1", "port": 9, **other})


def test_it_sends_to_us(orthanc, peer) -> None:
    packed = film(seed=2)
    packed.compress(RLELossless, generate_instance_uid=False)
    films = [film(), packed]
    said = orthanc.send("LYNCEUS", *orthanc.take(*films))
    assert (said["http"], said["FailedInstancesCount"]) == (200, 0)
    stored = {one.SOPInstanceUID: one for one in Instance.objects.select_related("study")}
    assert set(stored) == {data.SOPInstanceUID for data in films}
    assert stored[packed.SOPInstanceUID].TransferSyntaxUID == RLELossless
    assert {one.origin for one in stored.values()} == {"c-store"}
    assert not Study.objects.filter(is_prior=True).exists()  # sent of itself, it is work


def test_it_receives_from_us(orthanc, peer, take, site) -> None:
    data, packed = take(), film(seed=2)
    packed.StudyInstanceUID = data.StudyInstanceUID
    packed.compress(RLELossless, generate_instance_uid=False)
    take(packed)
    files = files_of(Study.objects.get(), None)
    sent = store(files, peer)
    assert sent.statuses == (SUCCESS, SUCCESS)
    assert sent.complete
    assert orthanc.holds() == {data.SOPInstanceUID, packed.SOPInstanceUID}
    # What cannot be read from the disk, or is no DICOM file, is not said to be there.
    files[0].path.write_bytes(b"nothing")
    assert not store(files[:1], peer).complete


def test_it_is_asked(orthanc, peer, older) -> None:
    echo(peer)
    data = older("20250101", PatientName="Doé^Jâne", SpecificCharacterSet="ISO_IR 192")
    older("20250202", PatientID="other")
    asked = {"PatientID": "4711", "StudyInstanceUID": "", "PatientName": "", "ModalitiesInStudy": ""}
    [row] = find(peer, "STUDY", asked)
    assert row["StudyInstanceUID"] == data.StudyInstanceUID
    assert row["PatientName"] == "Doé^Jâne"
    assert row["ModalitiesInStudy"] == "DX"


def test_who_is_away_or_refuses_is_told_apart(orthanc, peer) -> None:
    with pytest.raises(PeerFailed, match="does not answer") as failed:
        echo(nowhere())
    assert failed.value.code == "away"
    with pytest.raises(PeerFailed, match="refused") as failed:
        echo(nowhere(port=orthanc.port, AETitle="WRONG"))
    assert failed.value.code == "refused"


def test_more_matches_than_are_read_are_too_much(orthanc, peer, older, monkeypatch) -> None:
    older("20250101")
    older("20250202")
    monkeypatch.setattr("apps.radiology.exchange.scu.MATCHES_MAX", 1)
    with pytest.raises(PeerFailed) as failed:
        find(peer, "STUDY", {"PatientID": "4711", "StudyInstanceUID": ""})
    assert failed.value.code == "too_much"
