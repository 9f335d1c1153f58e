"""A file on its way in, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from apps.radiology.models import Instance, RejectionNote, ReportDocument, Result
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import content_sha256


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    file_sha256: str
    content_sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Received(File):
    """A film's file."""

    header: InstanceHeader


class Outcome(StrEnum):
    STORED = "stored"
    DUPLICATE = "duplicate"
    CORRECTED = "corrected"
    WAITS = "waits"  # a correction that a person has to accept
    NOTED = "noted"  # a rejection note
    REJECTED = "rejected"  # a film that a note had rejected before


@dataclass(frozen=True, slots=True)
class Ingested:
    """Of a rejection note there is a note, of a result of ours that came back the result, of all else an
    instance."""

    outcome: Outcome
    instance: Instance | None = None
    note: RejectionNote | None = None
    result: Result | ReportDocument | None = None


class InstanceConflict(DicomRefused):
    """Another image is stored under the SOPInstanceUID; this one may lie aside, and no more where it was."""

    def __init__(self, header: InstanceHeader, message: str) -> None:
        super().__init__("instance_conflict", message)
        self.uids = (header.SOPClassUID, header.SOPInstanceUID)


def measure(path: Path) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return File(path, digest, content_sha256(path), path.stat().st_size)


def measure_film(path: Path, header: InstanceHeader) -> Received:
    file = measure(path)
    return Received(file.path, file.file_sha256, file.content_sha256, file.size, header)
