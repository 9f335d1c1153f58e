"""The one way in. A film is on disk and in the database before its sender hears that it arrived."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from django.db import IntegrityError, transaction

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.radiology.limits import file_limits
from apps.radiology.models import Instance, Status, Study
from apps.radiology.store import film_path, keep
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import content_sha256, read_header

TASK = "radiology.analyse_instance"
# Refusals that are about what is stored already, not about the file.
CONFLICTS = ("instance_conflict", "patient_mismatch")
_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge")
_STUDY = ("AccessionNumber", "StudyDescription", "StudyDate", "StudyTime", "TimezoneOffsetFromUTC")
_INSTANCE = (
    "SOPClassUID", "SeriesInstanceUID", "TransferSyntaxUID", "Modality", "BodyPartExamined", "ViewPosition",
    "SeriesDescription", "Rows", "Columns", "NumberOfFrames",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ingested:
    instance: Instance
    duplicate: bool


def ingest_instance(received: Path, *, site: Site, actor: Actor, origin: str) -> Ingested:
    """Take a received file in, or find that it is here already. `received` must lie in `store.incoming`.

    Raises DicomRefused: a code of `ml.radiology.dicom`, instance_conflict for other content under a known
    SOPInstanceUID, patient_mismatch for a known study under another PatientID. Nothing is stored then.
    """
    header = read_header(received, file_limits())
    content = content_sha256(received)
    if (known := _known(site, header, content)) is not None:
        return Ingested(known, duplicate=True)
    _check_patient(Study.objects.filter(site=site, StudyInstanceUID=header.StudyInstanceUID).first(), header)
    size = received.stat().st_size
    with received.open("rb") as file:
        file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    keep(received, film_path(site, file_sha256))
    try:
        instance = _enter(header, site, actor, origin, (file_sha256, content, size))
    except IntegrityError:
        # Another sender was faster with the same instance.
        if (known := _known(site, header, content)) is None:
            raise
        return Ingested(known, duplicate=True)
    return Ingested(instance, duplicate=False)


def _known(site: Site, header: InstanceHeader, content: str) -> Instance | None:
    known = (
        Instance.objects.select_related("study")
        .filter(site=site, SOPInstanceUID=header.SOPInstanceUID)
        .first()
    )
    if known is not None and known.content_sha256 != content:
        raise DicomRefused("instance_conflict", "Another image is stored under this SOPInstanceUID.")
    return known


def _check_patient(study: Study | None, header: InstanceHeader) -> None:
    if study is None:
        return
    stored, sent = (study.PatientID, study.IssuerOfPatientID), (header.PatientID, header.IssuerOfPatientID)
    if stored != sent:
        raise DicomRefused("patient_mismatch", "This study is stored under another PatientID.")


@transaction.atomic
def _enter(
    header: InstanceHeader, site: Site, actor: Actor, origin: str, file: tuple[str, str, int]
) -> Instance:
    at = now()
    texts = {name: getattr(header, name) for name in (*_PATIENT, *_STUDY)}
    study, _ = Study.objects.get_or_create(
        site=site,
        StudyInstanceUID=header.StudyInstanceUID,
        defaults={**_fitting(Study, texts), "received_at": at, "changed_at": at},
    )
    study = Study.objects.select_for_update().get(pk=study.pk)
    _check_patient(study, header)
    given = {name: getattr(header, name) for name in _INSTANCE}
    instance = Instance.objects.create(
        study=study,
        site=site,
        SOPInstanceUID=header.SOPInstanceUID,
        **_fitting(Instance, given),
        synthetic=header.synthetic,
        file_sha256=file[0],
        content_sha256=file[1],
        file_bytes=file[2],
        origin=origin,
        received_at=at,
    )
    study.status, study.changed_at = Status.RECEIVED, at
    study.synthetic = study.synthetic or header.synthetic
    study.save(update_fields=["status", "changed_at", "synthetic"])
    record(
        "study.received",
        site=site,
        actor=actor,
        subject=f"study:{study.pk}",
        detail={"instance": instance.pk, "origin": origin},
    )
    ring(TASK, instance.pk)
    return instance


def _fitting(model: type[Study | Instance], values: dict[str, object]) -> dict[str, object]:
    """Texts cut to their columns: an over-long description must not cost a film."""
    fitting = {}
    for name, value in values.items():
        length = getattr(model._meta.get_field(name), "max_length", None)
        fitting[name] = value[:length] if isinstance(value, str) and length else value
    return fitting
