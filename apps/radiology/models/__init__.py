from apps.radiology.models.corrections import (
    Correction,
    CorrectionState,
    IdentityChange,
    KeptAside,
    differences,
)
from apps.radiology.models.nodes import DicomNode
from apps.radiology.models.patients import PatientMerge
from apps.radiology.models.reads import (
    SIGNED,
    Addendum,
    Exposure,
    Mark,
    Read,
    ReadingPolicy,
    ReadState,
    Side,
    StudyLock,
    Verdict,
)
from apps.radiology.models.regions import Region, Shape
from apps.radiology.models.rejections import Rejection, RejectionCode, RejectionNote
from apps.radiology.models.results import Result, ResultKind
from apps.radiology.models.studies import NOT_REJECTED, OPEN, Analysis, Finding, Instance, Status, Study
from apps.radiology.models.uploads import PieceUpload

__all__ = [
    "NOT_REJECTED", "OPEN", "SIGNED", "Addendum", "Analysis", "Correction", "CorrectionState", "DicomNode",
    "Exposure", "Finding", "IdentityChange", "Instance", "KeptAside", "Mark", "PatientMerge", "PieceUpload",
    "Read", "ReadState", "ReadingPolicy", "Region", "Rejection", "RejectionCode", "RejectionNote", "Result",
    "ResultKind", "Shape", "Side", "Status", "Study", "StudyLock", "Verdict", "differences",
]  # fmt: skip
