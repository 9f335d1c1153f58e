"""A file on its way in, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from apps.radiology.models import Instance
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import content_sha256


@dataclass(frozen=True, slots=True)
class Received:
    path: Path
    header: InstanceHeader
    file_sha256: str
    content_sha256: str
    size: int


class Outcome(StrEnum):
    STORED = "stored"
    DUPLICATE = "duplicate"
    CORRECTED = "corrected"
    WAITS = "waits"  # a correction that a person has to accept


@dataclass(frozen=True, slots=True)
class Ingested:
    outcome: Outcome
    instance: Instance


class InstanceConflict(DicomRefused):
    """Another image is stored under the SOPInstanceUID; this one may lie aside, and no more where it was."""

    def __init__(self, header: InstanceHeader, message: str) -> None:
        super().__init__("instance_conflict", message)
        self.uids = (header.SOPClassUID, header.SOPInstanceUID)


def measure(path: Path, header: InstanceHeader) -> Received:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Received(path, header, digest, content_sha256(path), path.stat().st_size)
