"""What every DICOM object made of a result has: the study's identity, Lynceus as its maker, its writing."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import pydicom.config
from highdicom import ContributingEquipment
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DA, TM

from ml.radiology.codes import OWN, Code
from ml.radiology.contracts import Algorithm, InstanceHeader
from ml.radiology.dicom import RESULT_MANUFACTURER

MODEL_NAME = "Lynceus AI result"
TEXTS = (
    "PatientID", "IssuerOfPatientID", "PatientName", "AccessionNumber", "StudyDescription",
)  # fmt: skip
# Its complaints quote names.
logging.getLogger("highdicom").setLevel(logging.CRITICAL)


def concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)


def identify(dataset: Dataset, header: InstanceHeader) -> None:
    """Write the patient's and the study's attributes. An identifier stays as it is, however long; a date,
    time, age or sex that is none is left out."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in TEXTS:
        # A backslash would make two values of one.
        setattr(dataset, keyword, re.sub(r"[\x00-\x1f\\]", " ", getattr(header, keyword)))
    dataset.PatientBirthDate = _date(header.PatientBirthDate)
    dataset.PatientSex = header.PatientSex if header.PatientSex in ("M", "F", "O") else ""
    dataset.PatientAge = _fitting(r"\d{3}[DWMY]", header.PatientAge)
    dataset.StudyInstanceUID = header.StudyInstanceUID
    dataset.StudyDate = _date(header.StudyDate)
    dataset.StudyTime = _fitting(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", header.StudyTime)
    dataset.StudyID, dataset.ReferringPhysicianName = "", ""
    if offset := _fitting(r"[+-]\d{4}", header.TimezoneOffsetFromUTC):
        dataset.TimezoneOffsetFromUTC = offset


def equipment(algorithms: Iterable[Algorithm]) -> dict[str, Any]:
    """Arguments by which highdicom's objects say who made them."""
    versions = sorted({f"{one.name} {one.version}" for one in algorithms})
    return {
        "manufacturer": RESULT_MANUFACTURER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": versions,
        "contributing_equipment": [
            ContributingEquipment(
                RESULT_MANUFACTURER,
                codes.DCM.ProcessingEquipment,
                manufacturer_model_name=MODEL_NAME,
                software_versions=versions,
            )
        ],
    }


def own_codes() -> list[CodingSchemeIdentificationItem]:
    return [CodingSchemeIdentificationItem(OWN, name="Lynceus", responsible_organization="Lynceus")]


def stamp(dataset: Dataset, at: datetime) -> None:
    """`at` is in the time zone in which the study's own times are."""
    for keyword in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{keyword}Date", DA(at.date()))
        setattr(dataset, f"{keyword}Time", TM(at.time()))


def as_file(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    with pydicom.config.disable_value_validation():
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _date(text: str) -> str:
    try:
        date.fromisoformat(_fitting(r"\d{8}", text))
    except ValueError:
        return ""
    return text


def _fitting(pattern: str, text: str) -> str:
    return text if re.fullmatch(pattern, text, re.ASCII) else ""
