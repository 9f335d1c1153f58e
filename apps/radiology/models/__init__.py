from apps.radiology.models.corrections import (
    Correction,
    CorrectionState,
    IdentityChange,
    KeptAside,
    differences,
)
from apps.radiology.models.nodes import DicomNode
from apps.radiology.models.patients import PatientMerge
from apps.radiology.models.rejections import Rejection, RejectionCode, RejectionNote
from apps.radiology.models.results import Result, ResultKind
from apps.radiology.models.studies import NOT_REJECTED, OPEN, Analysis, Finding, Instance, Status, Study
from apps.radiology.models.uploads import PieceUpload

__all__ = [
    "NOT_REJECTED", "OPEN", "Analysis", "Correction", "CorrectionState", "DicomNode", "Finding",
    "IdentityChange", "Instance", "KeptAside", "PatientMerge", "PieceUpload", "Rejection", "RejectionCode",
    "RejectionNote", "Result", "ResultKind", "Status", "Study", "differences",
]  # fmt: skip
