"""DICOMweb (PS3.18): store instances, and what the doors of `wado`, `pictures` and `qido` share."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.radiology.api.accept import DICOM_JSON
from apps.radiology.api.multipart import Parts, boundary_of
from apps.radiology.common.limits import file_limits
from apps.radiology.common.services.senders import web_sender
from apps.radiology.common.store import RETRY_AFTER_S, over_http
from apps.radiology.documents.results import results_of
from apps.radiology.intake.received import InstanceConflict
from apps.radiology.intake.services.ingest import CONFLICTS, ingest_instance
from apps.radiology.models import Instance, ReportDocument, Result
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import identify
from ml.radiology.rejection import KEY_OBJECT_SELECTION

log = structlog.get_logger(__name__)
Part = tuple[str, Iterable[bytes]]
# Failure reasons of PS3.18 table I.2-2 and PS3.4 annex B.2.3.
CANNOT_UNDERSTAND, NOT_SUPPORTED, DUPLICATE, NO_MATCH, BAD_SYNTAX = 0xC000, 0x0122, 0x0111, 0xA900, 0xC122


@dataclass(frozen=True, slots=True)
class Stored:
    """One part's outcome; `code` is empty where it was stored."""

    sop_class_uid: str
    sop_instance_uid: str
    url: str = ""
    code: str = ""
    message: str = ""


@csrf_exempt  # caller_of checks the token of a session; a bearer token needs none
@require_POST
def store(request: HttpRequest, study_uid: str = "") -> HttpResponse:
    """STOW-RS. 200 if all parts were stored, 202 if some, 409 or 415 if none was.

    503 if the disk fails, 507 if it is full.
    """
    caller = caller_for(request)
    boundary = boundary_of(request.headers.get("Content-Type", ""))
    _check_length(request)
    with ExitStack() as stack:
        parts = Parts(boundary, stack, part_max_bytes=settings.LYNCEUS_DICOM_FILE_MAX_MB * 1024**2)
        with over_http():
            paths = parts.read(request.read)
            if not paths:
                raise LynceusError("no_parts", "The body holds no instance.", status=400)
            outcomes = [_store_one(request, caller, path, study_uid) for path in paths]
    return _store_answer(request, outcomes)


def _check_length(request: HttpRequest) -> None:
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdecimal():
        raise LynceusError("length_required", "Send a Content-Length.", status=411)
    if int(length) > settings.LYNCEUS_UPLOAD_MAX_MB * 1024**2:
        raise LynceusError(
            "body_too_large", f"Send at most {settings.LYNCEUS_UPLOAD_MAX_MB} MiB.", status=413
        )


def _store_one(request: HttpRequest, caller: Caller, path: Path, study_uid: str) -> Stored:
    try:
        taken = ingest_instance(path, sender=web_sender(caller), study_uid=study_uid)
    except InstanceConflict as error:
        return Stored(*error.uids, code=error.code, message=error.message)
    except DicomRefused as error:
        return Stored(*identify(path, file_limits()), code=error.code, message=error.message)
    if (result := taken.result) is not None:
        url = _instance_url(request, result) if result in results_of(result.study) else ""
        return Stored(result.SOPClassUID, result.SOPInstanceUID, url=url)
    if taken.instance is None:
        return Stored(KEY_OBJECT_SELECTION, taken.note.SOPInstanceUID if taken.note else "")
    instance = taken.instance
    url = "" if instance.rejected_by else _instance_url(request, instance)
    return Stored(instance.SOPClassUID, instance.SOPInstanceUID, url=url)


def _instance_url(request: HttpRequest, instance: Instance | Result | ReportDocument) -> str:
    study_uid = instance.study.StudyInstanceUID
    return request.build_absolute_uri(
        f"/dicom-web/studies/{study_uid}/series/{instance.SeriesInstanceUID}/instances/{instance.SOPInstanceUID}"
    )


def _store_answer(request: HttpRequest, outcomes: list[Stored]) -> HttpResponse:
    stored = [one for one in outcomes if not one.code]
    failed = [one for one in outcomes if one.code]
    body: dict[str, Any] = {}
    if stored:
        body["00081190"] = _ur(next((one.url for one in stored if one.url), "").split("/series/")[0])
        body["00081199"] = _sequence([{**_reference(one), "00081190": _ur(one.url)} for one in stored])
    if failed:
        body["00081198"] = _sequence([_failure(one) for one in failed])
    status = 202 if failed else 200
    if not stored:
        status = 409 if any(one.code in CONFLICTS for one in failed) else 415
    return JsonResponse(body, status=status, content_type=DICOM_JSON)


def _failure(one: Stored) -> dict[str, Any]:
    # The standard's number for programs; ErrorComment, 64 characters at most, for people.
    comment = {"vr": "LO", "Value": [f"{one.code}: {one.message}"[:64]]}
    return {**_reference(one), "00081197": _us(_reason(one.code)), "00000902": comment}


def _reason(code: str) -> int:
    known = {
        "instance_conflict": DUPLICATE,
        "other_study": NO_MATCH,
        "patient_mismatch": NO_MATCH,
        "unsupported_transfer_syntax": BAD_SYNTAX,
        "no_pixels": NOT_SUPPORTED,
    }
    return known.get(code, CANNOT_UNDERSTAND)


def _reference(one: Stored) -> dict[str, Any]:
    uids = {"00081150": one.sop_class_uid, "00081155": one.sop_instance_uid}
    return {tag: {"vr": "UI", "Value": [uid]} if uid else {"vr": "UI"} for tag, uid in uids.items()}


def _ur(url: str) -> dict[str, Any]:
    """Empty for a rejection note, and for what one took out of use: neither is given out."""
    return {"vr": "UR", "Value": [url]} if url else {"vr": "UR"}


def _us(value: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


def caller_for(request: HttpRequest) -> Caller:
    return caller_of(request, scope="radiology", roles=(Role.RADIOLOGIST,))


def not_found() -> LynceusError:
    """The same for what is not there, another site's, or out of use."""
    return LynceusError("not_found", "There is no such study, series or instance.", status=404)


@contextmanager
def giving() -> Iterator[None]:
    """A film that cannot be read, or not in the form asked for, becomes an answer that says which."""
    try:
        yield
    except DicomRefused as error:
        raise LynceusError("film_unreadable", error.message, status=406) from error
    except OSError as error:
        log.error("film_unavailable", error=type(error).__name__, errno=error.errno)
        raise LynceusError(
            "film_unavailable",
            "The film is known, but its file cannot be read now.",
            status=503,
            retryable=True,
            retry_after_s=RETRY_AFTER_S,
        ) from error


def related(parts: Iterable[Part], kind: str) -> StreamingHttpResponse:
    """multipart/related (RFC 2387) of (Content-Type, content in blocks)."""
    boundary = uuid.uuid4().hex
    response = StreamingHttpResponse(_written(parts, boundary))
    response["Content-Type"] = f'multipart/related; type="{kind}"; boundary={boundary}'
    return response


def _written(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for kind, content in parts:
        yield f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
        yield from content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
