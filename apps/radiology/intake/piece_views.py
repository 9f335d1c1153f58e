"""The doors of a large file: begin, ask how far it is, send the next piece."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.radiology.common.store import incoming, over_http
from apps.radiology.intake.services.pieces import PIECE_BYTES, add_piece, begin_upload
from apps.radiology.intake.upload_views import answer_of
from apps.radiology.models import PieceUpload

BLOCK = 1 << 18


class UploadForm(forms.Form):
    name = forms.CharField(max_length=500)
    size = forms.IntegerField(min_value=1)
    fingerprint = forms.CharField(max_length=200)


@require_POST
@role_required(Role.RADIOLOGIST)
def begin(request: HttpRequest) -> HttpResponse:
    """201 with the upload's `url`, how much of it was `received` already, and how large a piece may be."""
    form = UploadForm(request.POST)
    if not form.is_valid():
        raise LynceusError("invalid_upload", "Give the file's name, size and fingerprint.", status=422)
    with over_http():
        upload = begin_upload(user_of(request), **form.cleaned_data)
    return JsonResponse(_state(upload), status=201)


@require_http_methods(["GET", "POST"])
@role_required(Role.RADIOLOGIST)
def upload(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """GET: how far it is. POST: the next piece as the raw body, `Upload-Offset` says where it belongs."""
    found = PieceUpload.objects.filter(user=user_of(request), public_id=public_id).first()
    if found is None:
        raise Http404
    if request.method == "POST":
        with over_http(), incoming() as path:
            _receive(request, path)
            found = add_piece(found, path, at=_offset(request), answer=answer_of)
    return JsonResponse(_state(found))


def _receive(request: HttpRequest, path: Any) -> None:
    written = 0
    with path.open("wb") as file:
        while block := request.read(BLOCK):
            written += len(block)
            if written > PIECE_BYTES:
                raise LynceusError("too_large", "The piece is larger than may be sent.", status=413)
            file.write(block)


def _offset(request: HttpRequest) -> int:
    text = request.headers.get("Upload-Offset", "")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise LynceusError("invalid_upload", "Say in Upload-Offset where the piece belongs.", status=422)
    return int(text)


def _state(upload: PieceUpload) -> dict[str, Any]:
    return {
        "url": reverse("radiology:piece_upload", args=[upload.public_id]),
        "received": upload.received,
        "piece_bytes": PIECE_BYTES,
        **({"files": upload.answer} if upload.answer is not None else {}),
    }
