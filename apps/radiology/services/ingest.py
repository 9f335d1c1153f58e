"""The one way in. A film is on disk and in the database before its sender hears that it arrived."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from django.db import IntegrityError, transaction

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.radiology.decoding import decode_apart
from apps.radiology.limits import file_limits
from apps.radiology.models import Instance, Study
from apps.radiology.services.studies import sum_up
from apps.radiology.store import film_path, flush, keep
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import content_sha256, read_header

TASK = "radiology.analyse_instance"
# Refusals that are about what is stored already, not about the file.
CONFLICTS = ("instance_conflict", "patient_mismatch", "other_study")
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


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    file_sha256: str
    content_sha256: str
    size: int


def ingest_instance(
    received: Path, *, site: Site, actor: Actor, origin: str, study_uid: str = ""
) -> Ingested:
    """Take a received file in, or find that it is here already. `received` must lie in `store.incoming`.

    Raises DicomRefused: a code of `ml.radiology.dicom`, instance_conflict for another image under a known
    SOPInstanceUID, patient_mismatch for a known study under another PatientID, other_study where the study
    is not `study_uid`. Nothing is stored then.
    """
    header = read_header(received, file_limits())
    if study_uid and header.StudyInstanceUID != study_uid:
        raise DicomRefused("other_study", "The image belongs to another study than the one named.")
    file = _measure(received)
    if (known := _known(site, header, file)) is not None:
        return Ingested(known, duplicate=True)
    flush(received)
    try:
        instance = _enter(header, site, actor, origin, file)
    except IntegrityError:
        # Another sender was faster with the same instance.
        if (known := _known(site, header, file)) is None:
            raise
        return Ingested(known, duplicate=True)
    return Ingested(instance, duplicate=False)


def _measure(received: Path) -> _File:
    with received.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _File(received, digest, content_sha256(received), received.stat().st_size)


def _known(site: Site, header: InstanceHeader, file: _File) -> Instance | None:
    known = (
        Instance.objects.select_related("study", "site")
        .filter(site=site, SOPInstanceUID=header.SOPInstanceUID)
        .first()
    )
    if known is None or known.content_sha256 == file.content_sha256 or _same_image(known, header, file):
        return known
    raise DicomRefused("instance_conflict", "Another image is stored under this SOPInstanceUID.")


def _same_image(known: Instance, header: InstanceHeader, file: _File) -> bool:
    """Whether a sender only wrote the same image in another way: another transfer syntax, lossless codec or
    encoding of lengths. What the headers say and what a reader would see must agree."""
    here = film_path(known.site, known.file_sha256)
    stored = read_header(here, file_limits())
    if replace(stored, TransferSyntaxUID="") != replace(header, TransferSyntaxUID=""):
        return False
    if header.NumberOfFrames != 1:
        return False  # only the first is decoded
    try:
        return np.array_equal(decode_apart(here).image.pixels, decode_apart(file.path).image.pixels)
    except DicomRefused:
        return False


def _check_patient(study: Study | None, header: InstanceHeader) -> None:
    if study is None:
        return
    stored, sent = (study.PatientID, study.IssuerOfPatientID), (header.PatientID, header.IssuerOfPatientID)
    if stored != sent:
        raise DicomRefused("patient_mismatch", "This study is stored under another PatientID.")


@transaction.atomic
def _enter(header: InstanceHeader, site: Site, actor: Actor, origin: str, file: _File) -> Instance:
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
        file_sha256=file.file_sha256,
        content_sha256=file.content_sha256,
        file_bytes=file.size,
        origin=origin,
        received_at=at,
    )
    if header.synthetic and not study.synthetic:
        Study.objects.filter(pk=study.pk).update(synthetic=True)
    sum_up(study.pk)
    record(
        "study.received",
        site=site,
        actor=actor,
        subject=f"study:{study.pk}",
        detail={"instance": instance.pk, "origin": origin},
    )
    ring(TASK, instance.pk)
    # Last, so that a refusal above leaves no file; before the commit, so that no row is without its file.
    keep(file.path, film_path(site, file.file_sha256))
    return instance


def _fitting(model: type[Study | Instance], values: dict[str, object]) -> dict[str, object]:
    """Texts cut to their columns: an over-long description must not cost a film."""
    fitting = {}
    for name, value in values.items():
        length = getattr(model._meta.get_field(name), "max_length", None)
        fitting[name] = value[:length] if isinstance(value, str) and length else value
    return fitting
