"""To a peer that does not take what is stored: the same values unpacked, or a sentence that says why not."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE

from apps.radiology.documents.contents import files_of
from apps.radiology.exchange import scu
from apps.radiology.exchange.scu import PeerFailed, store
from apps.radiology.models import Dispatch, DispatchAttempt, Study
from apps.radiology.tasks import make_reports, send_reports
from tests.clients import program
from tests.integration.running import eventually, free_port
from tests.radiology.conftest import DIGITAL_X_RAY, film
from tests.radiology.reads.conftest import press, study
from tests.radiology.reports.conftest import sign
from tests.radiology.reports.receivers import enter, listens

__all__ = ["press", "sign", "study"]


@dataclass(slots=True)
class Archive:
    """DCMTK's storescp, and the folder it stores into."""

    host: str
    port: int
    folder: Path
    AETitle: str = "PACS"

    def took(self) -> list[Dataset]:
        found = [pydicom.dcmread(path) for path in self.folder.iterdir()]
        return sorted(found, key=lambda data: data.SOPInstanceUID)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    """With options of storescp's, which say what transfer syntaxes it takes."""
    running = []

    def start(*options: str) -> Archive:
        found = Archive("127.0.0.1", free_port(), tmp_path / f"pacs{len(running)}")
        found.folder.mkdir()
        command = [program("storescp"), "-od", str(found.folder), "-aet", "PACS", *options, str(found.port)]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually(lambda: listens(found.port))
        return found

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


def rle(**attributes: Any) -> Dataset:
    data = film(**attributes)
    data.compress(RLELossless, generate_instance_uid=False)
    return data


def jpeg(**attributes: Any) -> Dataset:
    """Lossy, and only its transfer syntax says so."""
    grey = np.tile(np.linspace(0, 255, 80, dtype=np.uint8), (96, 1))
    packed = io.BytesIO()
    Image.fromarray(grey).save(packed, "JPEG")
    data = film(BitsAllocated=8, BitsStored=8, HighBit=7, **attributes)
    data.PixelData = encapsulate([packed.getvalue()])
    data["PixelData"].VR = "OB"
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return data


def files(*films: Dataset) -> list[Any]:
    uids = [data.SOPInstanceUID for data in films]
    held = {file.SOPInstanceUID: file for one in Study.objects.all() for file in files_of(one, None)}
    return [held[uid] for uid in uids]


@pytest.mark.parametrize(
    ("option", "syntax"), [("+xi", ImplicitVRLittleEndian), ("+xe", ExplicitVRLittleEndian)]
)
def test_it_works(archive, take, option, syntax) -> None:
    """Packed without loss, packed with loss, and not packed: the values are those that were stored."""
    sent = [take(rle(seed=1)), take(jpeg(seed=2)), take(film(seed=3))]
    peer = archive(option)
    assert store(files(*sent), peer).complete
    for wanted in sent:
        [got] = [data for data in peer.took() if data.SOPInstanceUID == wanted.SOPInstanceUID]
        assert got.file_meta.TransferSyntaxUID == syntax
        np.testing.assert_array_equal(got.pixel_array, wanted.pixel_array)
        assert got.PatientName == wanted.PatientName
        lossy = wanted is sent[1]
        assert got.get("LossyImageCompression") == ("01" if lossy else None)
        assert got.get("LossyImageCompressionMethod") == ("ISO_10918_1" if lossy else None)


def test_who_takes_what_is_stored_gets_that(archive, take) -> None:
    data = take(rle(seed=1))
    peer = archive("+xa")
    assert store(files(data), peer).complete
    [got] = peer.took()
    assert got.file_meta.TransferSyntaxUID == RLELossless
    assert got.PixelData == data.PixelData


def test_without_the_fall_back_it_would_stay_here(archive, take, monkeypatch) -> None:
    monkeypatch.setattr(scu, "PLAIN", ())
    data = take(rle(seed=1))
    with pytest.raises(PeerFailed, match=r"does not offer Digital X-Ray.* in RLE Lossless"):
        store(files(data), archive("+xi"))


def test_several_frames_go_out_in_their_order(archive, take) -> None:
    frames = np.random.default_rng(0).integers(0, 4095, (3, 96, 80), dtype=np.uint16)
    data = film(NumberOfFrames=3, PixelData=frames.tobytes())
    data.compress(RLELossless, generate_instance_uid=False)
    peer = archive("+xi")
    assert store(files(take(data)), peer).complete
    np.testing.assert_array_equal(peer.took()[0].pixel_array, frames)


def test_what_cannot_be_unpacked_says_what_the_peer_takes_and_holds_up_nothing(archive, take) -> None:
    colour = film(
        SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=0, BitsAllocated=8,
        BitsStored=8, HighBit=7, PixelData=bytes(96 * 80 * 3), seed=1,
    )  # fmt: skip
    colour.compress(RLELossless, generate_instance_uid=False)
    sent = store(files(take(colour), take(film(seed=2))), archive("+xi"))
    assert sent.statuses == (None, 0)
    assert sent.files[0].fault == (
        "takes Implicit VR Little Endian: Its colours are given only as they are stored."
    )
    assert not sent.complete


@pytest.fixture
def narrow() -> Iterator[Archive]:
    """A peer that takes secondary captures, and of films JPEG alone."""
    entity, port = AE(ae_title="PACS"), free_port()
    entity.add_supported_context(SecondaryCaptureImageStorage, ImplicitVRLittleEndian)
    entity.add_supported_context(DIGITAL_X_RAY, JPEGBaseline8Bit)
    server = entity.start_server(("127.0.0.1", port), block=False)
    yield Archive("127.0.0.1", port, Path())
    server.shutdown()


def test_a_kind_of_which_nothing_is_taken_says_so(narrow, take) -> None:
    packed, other = take(rle(seed=1)), take(film(seed=2, SOPClassUID=SecondaryCaptureImageStorage))
    sent = store(files(packed, other), narrow)
    assert sent.files[0].fault.startswith("takes no transfer syntax of Digital X-Ray Image Storage")
    assert sent.files[1].fault == ""
    with pytest.raises(PeerFailed) as failed:
        store(files(packed), narrow)
    for name in ("RLE Lossless", "Explicit VR Little Endian", "Implicit VR Little Endian"):
        assert name in failed.value.message


def test_a_signed_report_reaches_an_archive_of_implicit_alone(archive, site, sign, study) -> None:
    peer = archive("+xi")
    enter(site, name="PACS", AETitle="PACS", host=peer.host, port=peer.port)
    sign(study)
    make_reports.run()
    send_reports.run()
    assert DispatchAttempt.objects.get().said == "0x0000"
    assert Dispatch.objects.get().delivered_at is not None
    [got] = peer.took()
    assert (got.VerificationFlag, got.file_meta.TransferSyntaxUID) == ("VERIFIED", ImplicitVRLittleEndian)
    assert len(got.ContentSequence) > 1
