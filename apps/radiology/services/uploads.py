"""A file from a browser: one film, or a zip of films. Each gets its own answer."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from apps.accounts.models import Site, User
from apps.radiology.models import Instance
from apps.radiology.services.ingest import ingest_instance
from apps.radiology.store import incoming
from ml.radiology.contracts import DicomRefused

ZIP_MEMBERS_MAX = 500
BLOCK = 1 << 20
ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one file. `instance` is None where it was refused."""

    name: str
    instance: Instance | None = None
    duplicate: bool = False
    code: str = ""
    message: str = ""


def take_upload(upload: UploadedFile[IO[bytes]], *, site: Site, user: User) -> list[Receipt]:
    """Ingest a film, or every film of a zip. Never raises for what the file holds."""
    name = (upload.name or "file")[:120]
    with incoming() as path:
        with path.open("wb") as file:
            for chunk in upload.chunks(BLOCK):
                file.write(chunk)
        if zipfile.is_zipfile(path) and not _is_dicom(path):
            return _take_zip(path, name, site, user)
        return [_take(path, name, site, user)]


def _is_dicom(path: Path) -> bool:
    """A DICOM file may carry a zip's directory at its end: what stands at the start decides."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _take(path: Path, name: str, site: Site, user: User) -> Receipt:
    try:
        taken = ingest_instance(path, site=site, actor=user, origin="browser")
    except DicomRefused as error:
        return Receipt(name, code=error.code, message=error.message)
    return Receipt(name, taken.instance, taken.duplicate)


def _take_zip(path: Path, name: str, site: Site, user: User) -> list[Receipt]:
    receipts: list[Receipt] = []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_film(member)]
            if len(members) > ZIP_MEMBERS_MAX:
                too_many = f"The zip holds more than {ZIP_MEMBERS_MAX} files: send it in parts."
                return [Receipt(name, code="too_many_files", message=too_many)]
            for member_name, member_path, refusal in _unpacked(archive, members):
                receipts.append(refusal or _take(member_path, member_name, site, user))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError):
        receipts.append(
            Receipt(name, code="bad_zip", message="The zip is damaged: what stands above was taken.")
        )
    return receipts or [Receipt(name, code="empty_zip", message="The zip holds no file.")]


def _is_film(member: zipfile.ZipInfo) -> bool:
    """Folders, DICOMDIR and what operating systems add are no films."""
    name = member.filename
    last = name.rsplit("/", 1)[-1]
    return bool(last) and last != "DICOMDIR" and not last.startswith(".") and "__MACOSX/" not in name


def _unpacked(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]
) -> Iterator[tuple[str, Path, Receipt | None]]:
    """One member at a time, so that a zip costs the disk one film. Counts bytes itself: headers may lie."""
    left = settings.LYNCEUS_UPLOAD_MAX_MB * 1024**2 * 4
    for member in members:
        name = member.filename.rsplit("/", 1)[-1][:120]
        with incoming() as path:
            if member.flag_bits & ENCRYPTED:
                yield name, path, Receipt(name, code="encrypted", message="The zip is encrypted.")
                continue
            allowed = min(left, settings.LYNCEUS_DICOM_FILE_MAX_MB * 1024**2)
            written = _write(archive, member, path, allowed)
            left -= written
            if written > allowed:
                yield (
                    name,
                    path,
                    Receipt(name, code="bomb", message="The file inflates to more than may be stored."),
                )
                continue
            yield name, path, None


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, allowed: int) -> int:
    written = 0
    with archive.open(member) as source, path.open("wb") as target:
        while written <= allowed and (block := source.read(BLOCK)):
            written += len(block)
            target.write(block)
    return written
