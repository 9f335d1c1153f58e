"""Small DICOM files made here, and the doors they go through."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from apps.accounts.models import ApiClient, Site, User
from apps.accounts.services import rotate_secret
from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob
from apps.radiology.analysis import inference
from apps.radiology.analysis.inference import Answer
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import claim
from apps.radiology.analysis.services.outcomes import Outcome, finish
from apps.radiology.common import decoding
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import incoming
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.models import Instance, ReadingPolicy, Status, Study
from ml.radiology.contracts import FindingScore

DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"


def film(**attributes: Any) -> Dataset:
    """A frontal chest film of 96 x 80 pixels; `seed` changes its pixels, None leaves an attribute out."""
    rng = np.random.default_rng(attributes.pop("seed", 0))
    ramp = np.tile(np.linspace(0, 4000, 80), (96, 1)) + rng.integers(0, 95, (96, 80))
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = DIGITAL_X_RAY, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
    data.PatientID, data.PatientName, data.AccessionNumber = "4711", "Doe^Jane", "A1"
    data.Rows, data.Columns = ramp.shape
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = ramp.astype(np.uint16).tobytes()
    for name, value in attributes.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    return data


def as_file(data: Dataset) -> bytes:
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def film_file(**attributes: Any) -> bytes:
    return as_file(film(**attributes))


@pytest.fixture(autouse=True)
def folders(settings, tmp_path) -> Iterator[Path]:
    """Each test has a film store of its own."""
    settings.VAR_DIR = tmp_path / "var"
    yield settings.VAR_DIR
    decoding.forget_decoders()


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch) -> None:
    """What an earlier test's version was must not go on judging here."""
    monkeypatch.setattr(inference, "_loaded", None)
    monkeypatch.setattr(inference, "_failed", inference.NOTHING_FAILED)


@pytest.fixture
def stored(folders: Path) -> Callable[[], list[str]]:
    """The names of all files in the film store, half-received ones too."""
    return lambda: sorted(path.name for path in (folders / "films").rglob("*") if path.is_file())


@pytest.fixture
def radiologist(client: Client, make_user: Callable[..., User]) -> Client:
    client.force_login(make_user("radiologist"))
    return client


@pytest.fixture
def send(radiologist: Client) -> Callable[..., list[dict[str, Any]]]:
    """Files through the upload page, as its script sends them; the answer's rows."""

    def post(*contents: bytes, name: str = "film.dcm") -> list[dict[str, Any]]:
        files = [SimpleUploadedFile(name, content) for content in contents]
        answer = radiologist.post(
            "/radiology/upload/", {"files": files}, headers={"accept": "application/json"}
        )
        assert answer.status_code == 202, answer.content
        return answer.json()["files"]

    return post


@pytest.fixture
def received(send: Callable[..., Any]) -> Callable[..., Instance]:
    """One film sent and stored."""

    def take(content: bytes | None = None, **attributes: Any) -> Instance:
        [row] = send(film_file(**attributes) if content is None else content)
        assert row["state"] == "queued", row
        return Instance.objects.latest("pk")

    return take


@pytest.fixture
def arrive(site: Site) -> Callable[..., Any]:
    """A film by the one way in, from a source that is trusted or not."""

    def take(data: Dataset, *, trusted: bool = False) -> Any:
        with incoming() as path:
            path.write_bytes(as_file(data))
            return ingest_instance(path, sender=Sender(site, "c-store", name="PACS", trusted=trusted))

    return take


@pytest.fixture
def other_site(site: Site) -> Site:
    return Site.objects.create(slug="south", name="South")


@pytest.fixture
def token(site: Site) -> str:
    return rotate_secret(ApiClient.objects.create(site=site, name="pacs", scopes=["radiology"]))


@pytest.fixture
def other_token(other_site: Site) -> str:
    return rotate_secret(ApiClient.objects.create(site=other_site, name="pacs", scopes=["radiology"]))


@pytest.fixture
def ask(client: Client, token: str) -> Callable[..., Any]:
    """GET below /dicom-web/, with the site's own token unless another is given; "" for none."""
    own = token

    def get(path: str, accept: str = "", query: Any = None, *, token: str | None = None) -> Any:
        bearer = own if token is None else token
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return client.get(
            f"/dicom-web/{path}", query or {}, headers=headers | ({"accept": accept} if accept else {})
        )

    return get


@pytest.fixture
def web(live_server: Any, token: str) -> DICOMwebClient:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    return DICOMwebClient(f"{live_server.url}/dicom-web", session=session)


@pytest.fixture
def take(arrive: Callable[..., Any]) -> Callable[..., Dataset]:
    """A film stored, not analysed."""

    def store(data: Dataset | None = None, **attributes: Any) -> Dataset:
        data = film(**attributes) if data is None else data
        arrive(data)
        return data

    return store


@pytest.fixture
def version(site: Site) -> ModelVersion:
    """A version in service whose artefact is not on this machine: it cannot be loaded."""
    dataset = DatasetSnapshot.objects.create(site=site, domain="radiology", name="x", manifest_sha256="")
    job = TrainingJob.objects.create(site=site, domain="radiology", dataset=dataset, preset="tiny")
    model = Model.objects.create(domain="radiology")
    model.champion = ModelVersion.objects.create(
        model=model, number=3, artefact_hash="0" * 64, dataset=dataset, job=job
    )
    model.save()
    return model.champion


@pytest.fixture
def concurrent(site: Site) -> ReadingPolicy:
    """The site shows what the model says from the start."""
    return ReadingPolicy.objects.create(site=site, concurrent=True)


@pytest.fixture
def judged(version: ModelVersion) -> Callable[..., Instance]:
    """An instance as it is once a model gave it these `label=(probability, operating point)`."""

    def judge(instance: Instance, **scores: tuple[float, float | None]) -> Instance:
        claimed = claim(instance.pk)
        assert claimed is not None
        findings = tuple(
            FindingScore(name, p, at, at is not None and p >= at) for name, (p, at) in scores.items()
        )
        finish([Outcome(claimed, Status.ANALYSED, answer=Answer(version.pk, findings))])
        return Instance.objects.get(pk=instance.pk)

    return judge


@pytest.fixture
def failing_disk() -> Callable[[], Any]:
    """`with failing_disk():` every read of a film fails as on a broken disk."""

    @contextmanager
    def broken() -> Iterator[None]:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ml.radiology.dicom.parse", fail)
            yield

    return broken


@pytest.fixture
def seen(radiologist: Client, client: Client, token: str) -> Callable[[Dataset], list[str]]:
    """Where a film, decoded already, can be seen."""

    def look(data: Dataset) -> list[str]:
        study = Study.objects.get(StudyInstanceUID=data.StudyInstanceUID)
        instance = Instance.objects.get(SOPInstanceUID=data.SOPInstanceUID)
        asked = {"authorization": f"Bearer {token}"}
        web = f"/dicom-web/studies/{data.StudyInstanceUID}"
        whole = f"{web}/series/{data.SeriesInstanceUID}/instances/{data.SOPInstanceUID}"
        doors = {
            "worklist": str(study.public_id) in radiologist.get("/radiology/").content.decode(),
            "page": radiologist.get(f"/radiology/studies/{study.public_id}/").status_code == 200,
            "image": radiologist.get(f"/radiology/instances/{instance.public_id}/image.png").status_code
            == 200,
            "status": radiologist.get(f"/radiology/instances/{instance.public_id}/status/").status_code
            == 200,
            "api": client.get(f"/api/v1/studies/{data.StudyInstanceUID}", headers=asked).status_code == 200,
            "wado": client.get(whole, headers=asked).status_code == 200,
            "rendered": client.get(f"{whole}/rendered", headers=asked).status_code == 200,
        }
        return [door for door, opens in doors.items() if opens]

    return look


@pytest.fixture
def decoded(received: Callable[..., Instance]) -> Callable[..., Dataset]:
    def take(**attributes: Any) -> Dataset:
        data = film(**attributes)
        analyse_instance(received(as_file(data)).pk)
        return data

    return take
