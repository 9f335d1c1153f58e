"""A file from a browser: one film, or a zip of films. Each gets its own answer."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from apps.accounts.models import User
from apps.radiology.common.services.senders import Sender, browser_sender
from apps.radiology.common.store import incoming
from apps.radiology.intake.received import Outcome
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.models import Instance
from ml.radiology.contracts import DicomRefused

ZIP_MEMBERS_MAX = 500
ZIP_GROWTH_MAX = 4  # times the size a request may have
ZIP_READ_MAX = 4 * 1024**2
BLOCK = 1 << 20
ENCRYPTED = 0x1
# LZMA's dictionary may claim gigabytes; nothing in use for films needs it.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, zlib.error)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one file. `instance` is None where it was refused."""

    name: str
    instance: Instance | None = None
    outcome: Outcome | None = None
    code: str = ""
    message: str = ""


@dataclass(slots=True)
class _Budget:
    """How many bytes the zips of one request may still inflate to."""

    left: int


def take_uploads(uploads: Sequence[UploadedFile[Any]], *, user: User) -> list[Receipt]:
    """Ingest films, and every film of a zip. Never raises for what a file holds."""
    sender = browser_sender(user)
    budget = _Budget(settings.LYNCEUS_UPLOAD_MAX_MB * 1024**2 * ZIP_GROWTH_MAX)
    return [receipt for upload in uploads for receipt in _take_upload(upload, sender, budget)]


def _take_upload(upload: UploadedFile[Any], sender: Sender, budget: _Budget) -> list[Receipt]:
    name = (upload.name or "file")[:120]
    with incoming() as path:
        with path.open("wb") as file:
            for chunk in upload.chunks(BLOCK):
                file.write(chunk)
        return _take_one(path, name, sender, budget)


def take_file(path: Path, name: str, *, user: User) -> list[Receipt]:
    """The same for a file that lies in `store.incoming` already. It may be gone afterwards."""
    budget = _Budget(settings.LYNCEUS_UPLOAD_MAX_MB * 1024**2 * ZIP_GROWTH_MAX)
    return _take_one(path, name, browser_sender(user), budget)


def _take_one(path: Path, name: str, sender: Sender, budget: _Budget) -> list[Receipt]:
    if _is_zip(path):
        return _take_zip(path, name, sender, budget)
    return [_take(path, name, sender)]


def _is_zip(path: Path) -> bool:
    """A DICOM file may carry a zip's directory at its end: what stands at the start decides."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[:2] == b"PK" and head[128:] != b"DICM"


def _take(path: Path, name: str, sender: Sender) -> Receipt:
    try:
        taken = ingest_instance(path, sender=sender)
    except DicomRefused as error:
        return Receipt(name, code=error.code, message=error.message)
    return Receipt(name, taken.instance, taken.outcome)


class _Directory(io.FileIO):
    """zipfile reads a zip's whole directory at once: of a hostile one, no more than this."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > ZIP_READ_MAX:
            raise zipfile.BadZipFile("the directory is too long")
        return super().read(size) or b""


def _take_zip(path: Path, name: str, sender: Sender, budget: _Budget) -> list[Receipt]:
    with _Directory(str(path)) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (*DAMAGED, OSError):
            return [Receipt(name, code="bad_zip", message="The zip is damaged and cannot be read.")]
        members = [member for member in archive.infolist() if _is_film(member)]
        if len(members) > ZIP_MEMBERS_MAX:
            too_many = f"The zip holds more than {ZIP_MEMBERS_MAX} files: send it in parts."
            return [Receipt(name, code="too_many_files", message=too_many)]
        receipts = []
        # One member at a time, so that a zip costs the disk one film.
        for member in members:
            with incoming() as unpacked:
                receipt, written = _take_member(archive, member, unpacked, budget.left, sender)
                receipts.append(receipt)
                budget.left -= written
    return receipts or [Receipt(name, code="empty_zip", message="The zip holds no file.")]


def _is_film(member: zipfile.ZipInfo) -> bool:
    """Folders, DICOMDIR and what operating systems add are no films."""
    name = member.filename
    last = name.rsplit("/", 1)[-1]
    return bool(last) and last != "DICOMDIR" and not last.startswith(".") and "__MACOSX/" not in name


def _take_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int, sender: Sender
) -> tuple[Receipt, int]:
    """What became of one member, and how many bytes it inflated to."""
    name = member.filename.rsplit("/", 1)[-1][:120]
    if member.flag_bits & ENCRYPTED:
        return Receipt(name, code="encrypted", message="The file in the zip is encrypted."), 0
    if member.compress_type not in METHODS:
        return Receipt(name, code="bad_zip", message="The zip is packed in a way that is not taken."), 0
    allowed = min(left, settings.LYNCEUS_DICOM_FILE_MAX_MB * 1024**2)
    try:
        written = _write(archive, member, path, allowed)
    except DAMAGED:
        damaged = Receipt(name, code="bad_zip", message="The file is damaged inside the zip.")
        return damaged, path.stat().st_size
    if written > allowed:
        bomb = Receipt(name, code="bomb", message="The file inflates to more than may be stored.")
        return bomb, written
    return _take(path, name, sender), written


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, allowed: int) -> int:
    """Counts bytes itself: headers may lie."""
    written = 0
    with archive.open(member) as source, path.open("wb") as target:
        while written <= allowed and (block := source.read(BLOCK)):
            written += len(block)
            target.write(block)
    return written
