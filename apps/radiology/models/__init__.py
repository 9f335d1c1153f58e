from apps.radiology.models.communications import Channel, Communication
from apps.radiology.models.corrections import (
    Correction,
    CorrectionState,
    IdentityChange,
    KeptAside,
    differences,
)
from apps.radiology.models.desk import HandOver, SavedView
from apps.radiology.models.dispatches import Destination, Dispatch, DispatchAttempt
from apps.radiology.models.exports import Export, ExportFilm, ExportState, FilmState
from apps.radiology.models.nodes import DicomNode
from apps.radiology.models.orders import ORDER, SHOWN, TO_READ, Priority, rank_of
from apps.radiology.models.patients import PatientMerge
from apps.radiology.models.peers import DicomPeer, FetchState, PriorFetch, PriorRequest
from apps.radiology.models.quality import (
    Adjudication,
    CaseOpened,
    Comparison,
    Discrepancy,
    Draw,
    FrozenLabel,
    Kind,
    Purpose,
    Reason,
    SecondRead,
    SecondReadDecline,
)
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
from apps.radiology.models.shadow import ShadowAnalysis, ShadowFinding, ShadowRun, ShadowState
from apps.radiology.models.studies import NOT_REJECTED, OPEN, Analysis, Finding, Instance, Status, Study
from apps.radiology.models.uploads import PieceUpload

__all__ = [
    "DOCUMENT_CLASS", "NOT_REJECTED", "OPEN", "ORDER", "SHOWN", "SIGNED", "TO_READ", "Addendum",
    "Adjudication", "Analysis", "CaseOpened", "Channel", "Communication", "Comparison", "Correction",
    "CorrectionState", "Destination", "DicomNode", "DicomPeer", "Discrepancy", "Dispatch",
    "DispatchAttempt", "DocumentKind", "Draw", "Export", "ExportFilm", "ExportState", "Exposure",
    "FetchState", "FilmState", "Finding", "FrozenLabel", "HandOver", "IdentityChange", "Instance",
    "KeptAside", "Kind", "Mark", "PatientMerge", "PieceUpload", "PriorFetch", "PriorRequest", "Priority",
    "Purpose", "Read", "ReadState", "ReadingPolicy", "Reason", "Region", "Rejection", "RejectionCode",
    "RejectionNote", "ReportDocument", "ReportPolicy", "ReportSection", "ReportTemplate", "Result",
    "ResultKind", "SavedView", "SecondRead", "SecondReadDecline", "Section", "ShadowAnalysis",
    "ShadowFinding", "ShadowRun", "ShadowState", "Shape", "Side", "Status", "Study", "StudyLock",
    "Verdict", "differences", "rank_of",
]  # fmt: skip
