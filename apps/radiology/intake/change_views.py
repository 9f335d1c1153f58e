"""The pages of what was sent again and is not the same: decide a correction, look at what lies aside."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.radiology.common.headers import as_json
from apps.radiology.common.limits import file_limits
from apps.radiology.common.shortcuts import study_or_404
from apps.radiology.common.store import aside_path, film_path, over_http
from apps.radiology.documents.results import results_of
from apps.radiology.intake.services.aside import settle_aside
from apps.radiology.intake.services.corrections import accept_correction, refuse_correction
from apps.radiology.intake.services.rejections import undo_rejection
from apps.radiology.models import Correction, KeptAside, Study, differences
from apps.radiology.studies.changes import (
    aside_at,
    aside_for,
    changes_of,
    correction_for,
    proposals_at,
    rejection_for,
    rejections_at,
)
from apps.radiology.studies.flags import flagged_at
from apps.radiology.studies.late import late_films_of
from apps.radiology.studies.reads import may_see_ai
from ml.radiology.dicom import read_header

DECIDE = (Role.RADIOLOGIST, Role.OPERATOR)


@require_GET
@role_required(*DECIDE)
def changes(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    record("changes.viewed", site=user.site, actor=user)
    context = {
        "proposals": proposals_at(user.site),
        "aside": aside_at(user.site),
        "rejections": rejections_at(user.site),
        "flagged": flagged_at(user.site),
        "active": "changes",
    }
    return render(request, "radiology/changes.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def study_changes(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The live banner of the study page; 204 while it still shows what `seen` says it shows."""
    user, found = user_of(request), study_or_404(request, public_id)
    if request.GET.get("seen") == found.changed_at.isoformat():
        return HttpResponse(status=204)
    opened = may_see_ai(user, found)
    context = {"study": found, **changes_of(found), "opened": opened, "oob": True}
    context["results"] = results_of(found) if opened else []
    context["late"] = late_films_of(found, user, request.GET.get("opened", ""))
    return render(request, "radiology/study_changes.html", context)


@require_POST
@role_required(*DECIDE)
def accept(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user, correction = user_of(request), _correction(request, public_id)
    with over_http():
        films = accept_correction(correction, by=user)
    messages.success(request, f"Corrected: {films} film{'s' * (films != 1)}.")
    return back_from(user, correction.instance.study)


@require_POST
@role_required(*DECIDE)
def refuse(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user, correction = user_of(request), _correction(request, public_id)
    refuse_correction(correction, by=user)
    messages.success(request, "Refused: the study stays as it is.")
    return back_from(user, correction.instance.study)


def back_from(user: User, study: Study) -> HttpResponse:
    if user.role == Role.RADIOLOGIST:
        return redirect("radiology:study", study.public_id)
    return redirect("radiology:changes")


@require_GET
@role_required(Role.RADIOLOGIST)
def aside(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Both images beside each other, and what their headers say otherwise."""
    user, found = user_of(request), _aside(request, public_id)
    instance = found.instance
    stored = read_header(film_path(instance.site, instance.file_sha256), file_limits())
    record("aside.viewed", site=user.site, actor=user, subject=f"instance:{instance.pk}")
    context = {
        "aside": found,
        "instance": instance,
        "study": instance.study,
        "changes": differences(as_json(stored), found.header),
        "active": "changes",
    }
    return render(request, "radiology/aside.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def aside_image(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """What lies aside as an 8-bit greyscale PNG; 404 where it could not be decoded."""
    user, found = user_of(request), _aside(request, public_id)
    path = aside_path(found.site, found.file_sha256).with_suffix(".png")
    if not found.has_picture or not path.is_file():
        raise Http404
    record("aside.viewed", site=user.site, actor=user, subject=f"instance:{found.instance_id}")
    response = FileResponse(path.open("rb"), content_type="image/png")
    response["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, response)


@require_POST
@role_required(Role.RADIOLOGIST)
def settle(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = _aside(request, public_id)
    settle_aside(found, by=user_of(request))
    messages.success(request, "Seen: the stored film stays, the other one is kept aside.")
    return redirect("radiology:study", found.instance.study.public_id)


@require_POST
@role_required(*DECIDE)
def undo(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user = user_of(request)
    note = rejection_for(user.site, public_id)
    if note is None:
        raise Http404
    undo_rejection(note, by=user)
    messages.success(request, "Undone: the films are in use again.")
    return redirect("radiology:changes")


def _correction(request: HttpRequest, public_id: UUID) -> Correction:
    found = correction_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found


def _aside(request: HttpRequest, public_id: UUID) -> KeptAside:
    found = aside_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found
