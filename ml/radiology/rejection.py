"""Rejection notes of IHE IOCM: which instances a Key Object Selection document takes out of use, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import guarded, is_uid, text_of
from ml.radiology.parsing import Limits, items_of, parse

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
CODES = ("113001", "113037", "113038", "113039")


@dataclass(frozen=True, slots=True)
class RejectionDocument:
    """`instances` are the SOPInstanceUIDs it rejects, each once, in the document's order."""

    SOPInstanceUID: str
    StudyInstanceUID: str
    code: str
    instances: tuple[str, ...]


def read_rejection(path: Path, limits: Limits | None = None) -> RejectionDocument | None:
    """The rejection note a file holds; None for any other document. Raises DicomRefused for a damaged one,
    bad_header for one that rejects nothing, OSError where the disk fails."""
    return guarded(lambda: _read(path, limits or Limits()))


def _read(path: Path, limits: Limits) -> RejectionDocument | None:
    dataset = parse(path, limits, with_pixels=False).dataset
    code = _code(dataset)
    if text_of(dataset, "SOPClassUID") != KEY_OBJECT_SELECTION or code not in CODES:
        return None
    uids = (text_of(dataset, "SOPInstanceUID"), text_of(dataset, "StudyInstanceUID"))
    instances = tuple(dict.fromkeys(_references(dataset)))
    if not instances or not all(is_uid(uid) for uid in (*uids, *instances)):
        raise DicomRefused("bad_header", "The rejection note names no instance that it rejects.")
    return RejectionDocument(*uids, code, instances)


def _code(dataset: Any) -> str:
    """The document title, where it is of the scheme DCM (PS3.3 C.17.6)."""
    titles = items_of(dataset, "ConceptNameCodeSequence")
    if len(titles) != 1 or text_of(titles[0], "CodingSchemeDesignator") != "DCM":
        return ""
    return text_of(titles[0], "CodeValue")


def _references(dataset: Any) -> Iterator[str]:
    """From the evidence, which must hold every instance that the content refers to."""
    for study in items_of(dataset, "CurrentRequestedProcedureEvidenceSequence"):
        for series in items_of(study, "ReferencedSeriesSequence"):
            for instance in items_of(series, "ReferencedSOPSequence"):
                yield text_of(instance, "ReferencedSOPInstanceUID")
