from apps.radiology.models.corrections import (
    Correction,
    CorrectionState,
    IdentityChange,
    KeptAside,
    differences,
)
from apps.radiology.models.nodes import DicomNode
from apps.radiology.models.studies import OPEN, Analysis, Finding, Instance, Status, Study

__all__ = [
    "OPEN", "Analysis", "Correction", "CorrectionState", "DicomNode", "Finding", "IdentityChange", "Instance",
    "KeptAside", "Status", "Study", "differences",
]  # fmt: skip
