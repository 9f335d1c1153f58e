"""DICOMweb (PS3.18): store instances, retrieve what was stored."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.limits import file_limits
from apps.radiology.models import Instance, Result, Study
from apps.radiology.multipart import Parts, boundary_of
from apps.radiology.received import InstanceConflict
from apps.radiology.results import results_of
from apps.radiology.selectors import instance_by_uids, instances_of, study_by_uid
from apps.radiology.services.ingest import CONFLICTS, ingest_instance
from apps.radiology.services.senders import web_sender
from apps.radiology.store import film_path, over_http, picture_path
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import identify
from ml.radiology.rejection import KEY_OBJECT_SELECTION

DICOM_JSON = "application/dicom+json"
BLOCK = 1 << 18
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
    caller = _caller(request)
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


def _instance_url(request: HttpRequest, instance: Instance | Result) -> str:
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


@require_GET
def retrieve(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponseBase:
    """WADO-RS: the stored files of a study, a series or one instance, as they came, and results of ours."""
    caller = _caller(request)
    with transaction.atomic():
        study = study_by_uid(caller.site, study_uid)
        found: list[Instance | Result] = [] if study is None else objects_of(study)
        if series_uid:
            found = [one for one in found if one.SeriesInstanceUID == series_uid]
        if instance_uid:
            found = [one for one in found if one.SOPInstanceUID == instance_uid]
        if study is None or not found:
            raise LynceusError("not_found", "There is no such study, series or instance.", status=404)
        detail = {"instances": len(found)}
        actor = caller.user or caller.client
        record("study.retrieved", site=caller.site, actor=actor, subject=f"study:{study.pk}", detail=detail)
    boundary = uuid.uuid4().hex
    response = StreamingHttpResponse(_parts(found, boundary))
    response["Content-Type"] = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return response


@require_GET
def rendered(request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str) -> HttpResponseBase:
    """WADO-RS: one film as a picture for people, an 8-bit greyscale PNG; 404 until it was decoded."""
    caller = _caller(request)
    instance = instance_by_uids(caller.site, study_uid, series_uid, instance_uid)
    if instance is None or not instance.has_picture:
        raise LynceusError("not_found", "There is no picture of such an instance.", status=404)
    subject = f"instance:{instance.pk}"
    record("film.viewed", site=caller.site, actor=caller.user or caller.client, subject=subject)
    picture = picture_path(instance.site, instance.file_sha256)
    return FileResponse(picture.open("rb"), content_type="image/png")


def objects_of(study: Study) -> list[Instance | Result]:
    """All that a study consists of: its films in use, and what was made of their findings."""
    return [*instances_of(study), *results_of(study)]


def _parts(instances: list[Instance | Result], boundary: str) -> Iterator[bytes]:
    for instance in instances:
        kind = f"Content-Type: application/dicom; transfer-syntax={instance.TransferSyntaxUID}"
        yield f"--{boundary}\r\n{kind}\r\n\r\n".encode()
        with film_path(instance.site, instance.file_sha256).open("rb") as file:
            yield _missing_preamble(file.read(132))
            file.seek(0)
            while block := file.read(BLOCK):
                yield block
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _missing_preamble(head: bytes) -> bytes:
    """What PS3.10 wants before the file meta information, where the sender left it out."""
    bare = head[:2] == b"\x02\0" and head[128:] != b"DICM"
    return bytes(128) + b"DICM" if bare else b""


def _caller(request: HttpRequest) -> Caller:
    return caller_of(request, scope="radiology", roles=(Role.RADIOLOGIST,))
