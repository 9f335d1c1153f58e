"""Radiology's border types, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class DicomRefused(Exception):
    """A file that cannot be taken. `code` is stable, `message` is for a person and names no patient."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """What a header says of the order behind a film, at its top level or in its first
    RequestAttributesSequence item. Untrusted texts, at most 256 characters each."""

    ReferringPhysicianName: str = ""
    StudyID: str = ""
    RequestedProcedurePriority: str = ""
    ReasonForTheRequestedProcedure: str = ""
    AdmittingDiagnosesDescription: str = ""
    CurrentPatientLocation: str = ""
    InstitutionalDepartmentName: str = ""


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What is read from a header without touching pixels. Values keep their DICOM keywords.

    Two headers that differ in `request` alone are the same: it says nothing of the film.
    """

    SOPInstanceUID: str
    SOPClassUID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    TransferSyntaxUID: str
    Modality: str = ""
    PatientID: str = ""
    IssuerOfPatientID: str = ""
    PatientName: str = ""
    PatientBirthDate: str = ""
    PatientSex: str = ""
    PatientAge: str = ""
    AccessionNumber: str = ""
    StudyDate: str = ""
    StudyTime: str = ""
    StudyDescription: str = ""
    TimezoneOffsetFromUTC: str = ""
    BodyPartExamined: str = ""
    ViewPosition: str = ""
    PresentationIntentType: str = ""
    PhotometricInterpretation: str = ""
    Rows: int = 0
    Columns: int = 0
    NumberOfFrames: int = 1
    ImageType: tuple[str, ...] = ()
    Manufacturer: str = ""
    synthetic: bool = False
    has_pixels: bool = False
    SeriesDescription: str = ""
    SamplesPerPixel: int = 1
    BitsAllocated: int = 16
    is_result: bool = False
    request: RequestHeader = field(default=RequestHeader(), compare=False)


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Display-ready pixels: float32 (rows, columns) in 0..1, dark = 0, polarity already right."""

    pixels: FloatImage
    pixel_sha256: str


@dataclass(frozen=True, slots=True)
class SmallFilm:
    """A film as datasets keep it: uint8 (rows, columns), `ml.radiology.transforms.shrink` of what it shows.

    `shape` is that of the film itself.
    """

    pixels: Bytes
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether the model may judge the image. `reason` is shown to the radiologist."""

    accepted: bool
    code: str = ""
    reason: str = ""


ACCEPTED = GateVerdict(True)


@dataclass(frozen=True, slots=True)
class FindingScore:
    """One finding: calibrated probability, the operating point it is held against, the call.

    Where the evidence did not suffice to set an operating point it is None, and nothing is called. Of what
    is called, `attention` uint8 (rows, columns) says where on the film the model looked, if it can tell.
    """

    label: str
    probability: float
    operating_point: float | None
    positive: bool
    attention: Bytes | None = None


@dataclass(frozen=True, slots=True)
class ImagePrediction:
    """What was found, or a verdict that the image is not the model's to judge, and then no findings."""

    findings: tuple[FindingScore, ...]
    verdict: GateVerdict = ACCEPTED


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Who found it: a version of a film model, and the hash of its artefact."""

    name: str
    version: str
    artefact_hash: str


@dataclass(frozen=True, slots=True)
class ReadFilm:
    """What was found on one film. `header` is the film's, with the identity its study has now; `overlays` are
    PNGs by label (ml/radiology/explain.py), to be laid over the whole film."""

    header: InstanceHeader
    findings: tuple[FindingScore, ...]
    algorithm: Algorithm
    overlays: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Under which UIDs a result is filed."""

    SOPClassUID: str
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Numbers of one evaluation; `intervals` maps a metric's name to (low, high) at 95 %."""

    values: Mapping[str, Any]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
