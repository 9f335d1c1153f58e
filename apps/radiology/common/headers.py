"""Which attributes say whose a study is, which describe one film, and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import Model

from apps.radiology.models import Instance, Study
from ml.radiology.contracts import InstanceHeader

PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge")
STUDY = ("AccessionNumber", "StudyDescription", "StudyDate", "StudyTime", "TimezoneOffsetFromUTC")
IDENTITY = (*PATIENT, *STUDY)
WHOSE = (*IDENTITY, "StudyInstanceUID")
INSTANCE = (
    "SOPClassUID", "SeriesInstanceUID", "TransferSyntaxUID", "Modality", "Manufacturer", "BodyPartExamined",
    "ViewPosition", "SeriesDescription", "Rows", "Columns", "NumberOfFrames",
)  # fmt: skip


def as_json(header: InstanceHeader) -> dict[str, Any]:
    """But for what it says of the order: that is the study's, kept once."""
    kept = {**asdict(header), "ImageType": list(header.ImageType)}
    del kept["request"]
    return kept


def identity_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of Study that a header (as JSON) fills."""
    return _fitting(Study, header, IDENTITY)


def film_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of Instance that a header (as JSON) fills."""
    return {**_fitting(Instance, header, INSTANCE), "synthetic": header["synthetic"]}


def header_of(instance: Instance) -> InstanceHeader:
    """What its file's header would say if it were written now: with the study's identity of today. Only of
    what the database keeps."""
    study = instance.study
    return InstanceHeader(
        **{name: getattr(study, name) for name in WHOSE},
        **{name: getattr(instance, name) for name in ("SOPInstanceUID", *INSTANCE)},
        synthetic=instance.synthetic,
        has_pixels=True,
    )


def _fitting(model: type[Model], header: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Texts cut to their columns: an over-long description must not cost a film."""
    fitting = {}
    for name in names:
        value = header[name]
        length = getattr(model._meta.get_field(name), "max_length", None)
        fitting[name] = value[:length] if isinstance(value, str) and length else value
    return fitting
