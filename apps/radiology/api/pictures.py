"""WADO-RS for people's eyes (PS3.18 10.4.1.1.3): films rendered, and thumbnails.

The picture was made when the film was analysed: until then there is none. Another size or format of it, and
frames after the first, are made in the decoding child.
"""

from __future__ import annotations

from contextlib import suppress

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET

from apps.accounts.auth import Caller
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.api.accept import one_of
from apps.radiology.api.dicomweb import caller_for, giving, not_found, related
from apps.radiology.common.decoding import picture_apart, redraw_apart
from apps.radiology.common.selectors import first_to_show, instances_of, study_by_uid
from apps.radiology.common.store import film_path, picture_path, thumbnail_path, write_beside
from apps.radiology.models import Instance

PNG, JPEG = "image/png", "image/jpeg"
FULL_SIDE = 3072  # as the decoding child draws a film
THUMBNAIL_SIDE = 256
# Of a picture that was made before the request nothing but its size can be changed.
NOT_HERE = ("window", "annotation")


@require_GET
def rendered(
    request: HttpRequest,
    study_uid: str,
    series_uid: str = "",
    instance_uid: str = "",
    frames: list[int] | None = None,
) -> HttpResponseBase:
    """Films as 8-bit greyscale pictures, one alone or several in parts; 404 until they were decoded."""
    caller = caller_for(request)
    side = _side(request, FULL_SIDE)
    kind = one_of(request, PNG, JPEG).type
    films = [film for film in _films(caller, study_uid, series_uid, instance_uid) if film.has_picture]
    wanted = [(film, number) for film in films for number in frames or [1]]
    if not wanted or any(number > film.NumberOfFrames for film, number in wanted):
        raise not_found()
    for film in films:
        _viewed(caller, film)
    if len(wanted) == 1:
        return _alone(*wanted[0], kind, side)
    with giving():
        return related(((kind, [_drawn(film, number, kind, side)]) for film, number in wanted), kind)


@require_GET
def thumbnail(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponseBase:
    """A small picture of an instance, or of the film that stands for a series or study."""
    caller = caller_for(request)
    side = _side(request, THUMBNAIL_SIDE)
    kind = one_of(request, JPEG, PNG).type
    film = first_to_show(_films(caller, study_uid, series_uid, instance_uid))
    if film is None or not film.has_picture:
        raise not_found()
    _viewed(caller, film)
    if (kind, side) != (JPEG, THUMBNAIL_SIDE):
        return _alone(film, 1, kind, side)
    return HttpResponse(_kept_thumbnail(film), content_type=JPEG)


def _films(caller: Caller, study_uid: str, series_uid: str, instance_uid: str) -> list[Instance]:
    study = study_by_uid(caller.site, study_uid)
    return [
        film
        for film in (instances_of(study) if study else [])
        if series_uid in ("", film.SeriesInstanceUID) and instance_uid in ("", film.SOPInstanceUID)
    ]


def _viewed(caller: Caller, film: Instance) -> None:
    actor = caller.user or caller.client
    record("film.viewed", site=caller.site, actor=actor, subject=f"instance:{film.pk}")


def _side(request: HttpRequest, most: int) -> int:
    """The larger side of `viewport`, at most `most`. Raises LynceusError 400 for what cannot be rendered."""
    if any(name in request.GET for name in NOT_HERE):
        message = f"A picture is rendered without {' and '.join(NOT_HERE)}: ask for frames."
        raise LynceusError("not_rendered", message, status=400)
    viewport = request.GET.get("viewport", "")
    if not viewport:
        return most
    sides = viewport.split(",")
    if len(sides) != 2 or not all(side.isdecimal() and int(side[:9]) > 0 for side in sides):
        raise LynceusError("not_rendered", "viewport is width,height in pixels.", status=400)
    return min(most, *(int(side[:9]) for side in sides))


def _alone(film: Instance, number: int, kind: str, side: int) -> HttpResponseBase:
    with giving():
        if (number, kind, side) == (1, PNG, FULL_SIDE):
            picture = picture_path(film.site, film.file_sha256)
            return FileResponse(picture.open("rb"), content_type=PNG)
        return HttpResponse(_drawn(film, number, kind, side), content_type=kind)


def _drawn(film: Instance, number: int, kind: str, side: int) -> bytes:
    how = kind.removeprefix("image/").upper()
    if number > 1:
        return picture_apart(film_path(film.site, film.file_sha256), number - 1, kind=how, side=side)
    picture = picture_path(film.site, film.file_sha256)
    if (kind, side) == (PNG, FULL_SIDE):
        return picture.read_bytes()
    return redraw_apart(picture, kind=how, side=side)


def _kept_thumbnail(film: Instance) -> bytes:
    """Made once, then read: a worklist full of them must not wait for the decoder each time."""
    with suppress(FileNotFoundError):
        return thumbnail_path(film.site, film.file_sha256).read_bytes()
    with giving():
        small = _drawn(film, 1, JPEG, THUMBNAIL_SIDE)
    with suppress(OSError):  # a full disk costs the next one its time, not this one its thumbnail
        write_beside(film_path(film.site, film.file_sha256), small, ".jpg")
    return small
