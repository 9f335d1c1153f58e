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
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.models import Instance
from apps.radiology.multipart import Parts, boundary_of
from apps.radiology.selectors import instances_of, study_by_uid
from apps.radiology.services.ingest import CONFLICTS, ingest_instance
from apps.radiology.store import film_path
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import read_header

DICOM_JSON = "application/dicom+json"
BLOCK = 1 << 18
# Failure reasons of PS3.18 table I.2-2 and PS3.4 annex B.2.3.
CANNOT_UNDERSTAND, NOT_SUPPORTED, DUPLICATE, NO_MATCH = 0xC000, 0x0122, 0x0111, 0xA900


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
    """STOW-RS. 200 if all parts were stored, 202 if some, 409 or 415 if none was."""
    caller = _caller(request)
    boundary = boundary_of(request.headers.get("Content-Type", ""))
    _check_length(request)
    with ExitStack() as stack:
        parts = Parts(boundary, stack, part_max_bytes=settings.LYNCEUS_DICOM_FILE_MAX_MB * 1024**2)
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
    actor = caller.user or caller.client
    sop_class = sop_instance = ""
    try:
        header = read_header(path)
        sop_class, sop_instance = header.SOPClassUID, header.SOPInstanceUID
        if study_uid and header.StudyInstanceUID != study_uid:
            raise DicomRefused("other_study", "The instance belongs to another study than the URL names.")
        instance = ingest_instance(path, site=caller.site, actor=actor, origin="stow").instance
    except DicomRefused as error:
        return Stored(sop_class, sop_instance, code=error.code, message=error.message)
    return Stored(sop_class, sop_instance, url=_instance_url(request, instance))


def _instance_url(request: HttpRequest, instance: Instance) -> str:
    study_uid = instance.study.StudyInstanceUID
    return request.build_absolute_uri(
        f"/dicom-web/studies/{study_uid}/series/{instance.SeriesInstanceUID}/instances/{instance.SOPInstanceUID}"
    )


def _store_answer(request: HttpRequest, outcomes: list[Stored]) -> HttpResponse:
    stored = [one for one in outcomes if not one.code]
    failed = [one for one in outcomes if one.code]
    body: dict[str, Any] = {}
    if stored:
        study_url = stored[0].url.split("/series/")[0]
        body["00081190"] = _ur(study_url)
        body["00081199"] = _sequence([{**_reference(one), "00081190": _ur(one.url)} for one in stored])
    if failed:
        body["00081198"] = _sequence(
            [{**_reference(one), "00081197": _us(_reason(one.code))} for one in failed]
        )
    if stored:
        return JsonResponse(body, status=202 if failed else 200, content_type=DICOM_JSON)
    # For people and logs: the failed sequence says which instance, the reason says why.
    body = {**body, "code": failed[0].code, "message": failed[0].message}
    conflict = any(one.code in (*CONFLICTS, "other_study") for one in failed)
    return JsonResponse(body, status=409 if conflict else 415, content_type=DICOM_JSON)


def _reason(code: str) -> int:
    known = {
        "instance_conflict": DUPLICATE,
        "other_study": NO_MATCH,
        "patient_mismatch": NO_MATCH,
        "unsupported_transfer_syntax": NOT_SUPPORTED,
        "no_pixels": NOT_SUPPORTED,
    }
    return known.get(code, CANNOT_UNDERSTAND)


def _reference(one: Stored) -> dict[str, Any]:
    uids = {"00081150": one.sop_class_uid, "00081155": one.sop_instance_uid}
    return {tag: {"vr": "UI", "Value": [uid]} if uid else {"vr": "UI"} for tag, uid in uids.items()}


def _ur(url: str) -> dict[str, Any]:
    return {"vr": "UR", "Value": [url]}


def _us(value: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


@require_GET
def retrieve(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponseBase:
    """WADO-RS: the stored files of a study, a series or one instance, byte for byte."""
    caller = _caller(request)
    with transaction.atomic():
        study = study_by_uid(caller.site, study_uid)
        found = [] if study is None else instances_of(study)
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


def _parts(instances: list[Instance], boundary: str) -> Iterator[bytes]:
    for instance in instances:
        kind = f"Content-Type: application/dicom; transfer-syntax={instance.TransferSyntaxUID}"
        yield f"--{boundary}\r\n{kind}\r\n\r\n".encode()
        with film_path(instance.site, instance.file_sha256).open("rb") as file:
            while block := file.read(BLOCK):
                yield block
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _caller(request: HttpRequest) -> Caller:
    return caller_of(request, scope="radiology", roles=(Role.RADIOLOGIST,))
