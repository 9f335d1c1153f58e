from apps.radiology.models.communications import Channel, Communication
from apps.radiology.models.corrections import (
    Correction,
    CorrectionState,
    IdentityChange,
    KeptAside,
    differences,
)
from apps.radiology.models.dispatches import Destination, Dispatch, DispatchAttempt
from apps.radiology.models.exports import Export, ExportFilm, ExportState, FilmState
from apps.radiology.models.nodes import DicomNode
from apps.radiology.models.patients import PatientMerge
from apps.radiology.models.peers import DicomPeer, FetchState, PriorFetch, PriorRequest
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
from apps.radiology.models.rejections import Rejection, RejectionCode, RejectionNote
from apps.radiology.models.reports import (
    DOCUMENT_CLASS,
    DocumentKind,
    ReportDocument,
    ReportPolicy,
    ReportSection,
    ReportTemplate,
    Section,
)
from apps.radiology.models.results import Result, ResultKind
from apps.radiology.models.studies import NOT_REJECTED, OPEN, Analysis, Finding, Instance, Status, Study
from apps.radiology.models.uploads import PieceUpload

__all__ = [
    "DOCUMENT_CLASS", "NOT_REJECTED", "OPEN", "SIGNED", "Addendum", "Analysis", "Channel", "Communication",
    "Correction", "CorrectionState", "Destination", "DicomNode", "DicomPeer", "Dispatch", "DispatchAttempt",
    "DocumentKind", "Export", "ExportFilm", "ExportState", "Exposure", "FetchState", "FilmState",
    "Finding", "IdentityChange", "Instance", "KeptAside", "Mark", "PatientMerge", "PieceUpload",
    "PriorFetch", "PriorRequest", "Read", "ReadState", "ReadingPolicy", "Rejection", "RejectionCode",
    "RejectionNote", "ReportDocument", "ReportPolicy", "ReportSection", "ReportTemplate", "Result",
    "ResultKind", "Section", "Side", "Status", "Study", "StudyLock", "Verdict", "differences",
]  # fmt: skip
