"""WADO-RS (PS3.18 10.4): files, metadata, frames and bulk data of what is in use at the caller's site.

Nothing of a film is decoded here: frames are cut out of the file as they lie, or decoded in the child.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import orjson
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from apps.accounts.auth import Caller
from apps.audit.services import record
from apps.radiology.api.accept import (
    DICOM,
    OCTETS,
    Choice,
    MediaRange,
    accepted,
    choose,
    json_kind,
    one_of,
    takes_files,
)  # fmt: skip
from apps.radiology.api.attributes import metadata_json
from apps.radiology.api.dicomweb import Part, caller_for, giving, not_found, related
from apps.radiology.common.decoding import frame_apart
from apps.radiology.common.limits import file_limits
from apps.radiology.common.selectors import instance_by_uids, study_by_uid
from apps.radiology.common.store import film_path
from apps.radiology.documents.contents import StoredFile, files_of
from apps.radiology.models import Instance, Study
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicomjson import bulk_value, header_json
from ml.radiology.frames import StoredPixels, stored_frame, stored_pixels, stored_value
from ml.radiology.parsing import PIXEL_TAGS

BLOCK = 1 << 18
# The viewer fetches the next study's film while one is read: the audit tells it from a film that was opened.
AHEAD = "X-Lynceus-Prefetch"
# RFC 9111 5.5. Identity is the database's: see docs/api.md.
AS_SENT = '299 Lynceus "The files name patient and study as sent, the metadata name the current ones."'


@require_GET
def retrieve(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponseBase:
    """The stored files of a study, a series or one instance, as they came."""
    caller = caller_for(request)
    with transaction.atomic():
        study, files = _found(caller, "files", study_uid, series_uid, instance_uid)
        how = takes_files(request, {file.TransferSyntaxUID for file in files})
    response: HttpResponseBase
    if len(files) == 1 and not how.multipart and how.type == DICOM:
        response = StreamingHttpResponse(_content(files[0]), content_type=DICOM)
    else:
        response = related(
            ((f"{DICOM}; transfer-syntax={file.TransferSyntaxUID}", _content(file)) for file in files), DICOM
        )
    if study.identity_changes.exists():
        response["Warning"] = AS_SENT
    return response


@require_GET
def metadata(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponseBase:
    """Headers without pixels, as a list of DICOM JSON; patient and study are the current ones."""
    caller = caller_for(request)
    kind = json_kind(request)
    study, files = _found(caller, "metadata", study_uid, series_uid, instance_uid)
    root = request.build_absolute_uri(f"/dicom-web/studies/{study.StudyInstanceUID}/")
    return StreamingHttpResponse(_list(_metadata(study, file, root) for file in files), content_type=kind)


@require_GET
def frames(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str, frames: list[int]
) -> HttpResponseBase:
    """Frames by their numbers, from 1, as they are stored or in Explicit VR Little Endian."""
    caller = caller_for(request)
    instance, pixels = _pixels(caller, study_uid, series_uid, instance_uid)
    if max(frames) > pixels.frames:
        raise not_found()
    choice = choose(accepted(request), syntax=pixels.syntax_given, several=len(frames) > 1)
    _viewed(caller, instance, frames=frames, ahead=AHEAD in request.headers)
    return _frames(choice, pixels, frames)


@require_GET
def bulkdata(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str, place: str
) -> HttpResponseBase:
    """What the metadata name by address: a long value, or the pixels of all frames."""
    caller = caller_for(request)
    if "/" not in place and int(place, 16) in PIXEL_TAGS:
        return _all_frames(request, caller, *_pixels(caller, study_uid, series_uid, instance_uid))
    how = one_of(request, OCTETS)
    with giving(), transaction.atomic():
        _, [file] = _found(caller, "bulkdata", study_uid, series_uid, instance_uid)
        value = bulk_value(file.path, file_limits(), place)
        if value is None:
            raise not_found()
    return _octets(how, [value])


def _found(
    caller: Caller, what: str, study_uid: str, series_uid: str, instance_uid: str
) -> tuple[Study, list[StoredFile]]:
    """The study and what is asked for of it; LynceusError 404 where there is none, 503 without its files."""
    with transaction.atomic():
        study = study_by_uid(caller.site, study_uid)
        files = [] if study is None else files_of(study, caller.user, series_uid, instance_uid)
        if study is None or not files:
            raise not_found()
        with giving():
            for file in files:
                file.path.stat()
        detail = {"instances": len(files), "what": what}
        actor = caller.user or caller.client
        record("study.retrieved", site=caller.site, actor=actor, subject=f"study:{study.pk}", detail=detail)
    return study, files


def _content(file: StoredFile) -> Iterator[bytes]:
    with file.path.open("rb") as opened:
        yield _missing_preamble(opened.read(132))
        opened.seek(0)
        while block := opened.read(BLOCK):
            yield block


def _missing_preamble(head: bytes) -> bytes:
    """What PS3.10 wants before the file meta information, where the sender left it out."""
    bare = head[:2] == b"\x02\0" and head[128:] != b"DICM"
    return bytes(128) + b"DICM" if bare else b""


def _metadata(study: Study, file: StoredFile, root: str) -> bytes:
    address = f"{root}{file.below_study}/bulkdata/"
    try:
        header = header_json(file.path, file_limits(), lambda place: address + place)
    except DicomRefused:
        header = {}  # limits were wider when it came: what the database holds is still right
    return orjson.dumps(metadata_json(study, file, header))


def _list(items: Iterable[bytes]) -> Iterator[bytes]:
    before = b"["
    for item in items:
        yield before + item
        before = b","
    yield b"]"


def _pixels(
    caller: Caller, study_uid: str, series_uid: str, instance_uid: str
) -> tuple[Instance, StoredPixels]:
    instance = instance_by_uids(caller.site, study_uid, series_uid, instance_uid)
    if instance is None:
        raise not_found()
    with giving():
        return instance, stored_pixels(film_path(instance.site, instance.file_sha256), file_limits())


def _viewed(caller: Caller, instance: Instance, *, frames: list[int], ahead: bool = False) -> None:
    record(
        "film.viewed",
        site=caller.site,
        actor=caller.user or caller.client,
        subject=f"instance:{instance.pk}",
        detail={"frames": frames, **({"ahead": True} if ahead else {})},
    )


def _all_frames(
    request: HttpRequest, caller: Caller, instance: Instance, pixels: StoredPixels
) -> HttpResponseBase:
    """Native frames follow each other in one value, others are a part each."""
    one_value = pixels.native and pixels.as_they_lie
    several = pixels.frames > 1 and not one_value
    choice = choose(accepted(request), syntax=pixels.syntax_given, several=several)
    _viewed(caller, instance, frames=[1, pixels.frames])
    if one_value:
        return _octets(choice, stored_value(pixels))
    return _frames(choice, pixels, range(1, pixels.frames + 1))


def _frames(choice: Choice, pixels: StoredPixels, numbers: Iterable[int]) -> HttpResponseBase:
    as_they_lie = pixels.as_they_lie and choice.syntax == pixels.syntax_given

    def content(index: int) -> Iterable[bytes]:
        return stored_frame(pixels, index) if as_they_lie else [frame_apart(pixels.path, index)]

    parts = ((choice.content_type, content(number - 1)) for number in numbers)
    with giving():
        first = next(parts)  # before the answer's status is said
    if not choice.multipart:
        return StreamingHttpResponse(first[1], content_type=choice.content_type)
    return related(chain([first], parts), choice.type)


def _octets(how: Choice | MediaRange, content: Iterable[bytes]) -> HttpResponseBase:
    if how.multipart:
        parts: list[Part] = [(OCTETS, content)]
        return related(parts, OCTETS)
    return StreamingHttpResponse(content, content_type=OCTETS)
