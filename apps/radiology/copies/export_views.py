"""The pages of de-identified exports: ask for one, decide on films that may show text, fetch it."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.copies.exports import archive_path, export_for, exports_at, films_of, labelled_studies
from apps.radiology.copies.services.exports import KEPT, decide_film, request_export
from apps.radiology.models import Export, ExportState, FilmState, Study
from apps.radiology.studies.reads import labels_to_read


class ExportForm(forms.Form):
    project = forms.RegexField(
        r"^[A-Za-z0-9_-]{1,40}$", label="Project",
        help_text="Letters, digits, - and _. The same patient has the same pseudonym in all its exports.",
    )  # fmt: skip
    study = forms.RegexField(
        r"^[0-9.]{1,64}$", label="Study UID", required=False,
        help_text="Empty: every study with a signed read made before the model's answer opened, with labels.",
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@role_required(Role.RADIOLOGIST)
def exports(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = ExportForm(request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if form.is_bound and form.is_valid():
        uid, project = form.cleaned_data["study"], form.cleaned_data["project"]
        named = Study.objects.filter(site=user.site, StudyInstanceUID=uid, withdrawn=False)
        studies = named if uid else labelled_studies(user.site)
        labels = [] if uid else labels_to_read()
        try:
            made = request_export(user.site, studies, project=project, labels=labels, by=user)
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            return redirect("radiology:export", made.public_id)
    context = {"form": form, "exports": exports_at(user.site), "kept_days": KEPT.days, "active": "worklist"}
    return render(request, "radiology/exports.html", context, status=422 if form.is_bound else 200)


@require_GET
@role_required(Role.RADIOLOGIST)
def export(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = _export_or_404(request, public_id)
    films = list(films_of(found))
    context = {
        "export": found,
        "films": films,
        "held": next((one for one in films if one.state == FilmState.HELD), None),
        "n_held": sum(one.state == FilmState.HELD for one in films),
        "left_out": [one for one in films if one.state == FilmState.LEFT_OUT],
        "kept_days": KEPT.days,
        "active": "worklist",
    }
    return render(request, "radiology/export.html", context)


@require_POST
@role_required(Role.RADIOLOGIST)
def decide(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Of one film that waits: `clean`, it shows no text, or else it is left out."""
    found, film = _export_or_404(request, public_id), request.POST.get("film", "")
    try:
        UUID(film)
    except ValueError:
        raise Http404 from None
    try:
        decide_film(found, film, clean="clean" in request.POST, by=user_of(request))
    except LynceusError as error:
        messages.error(request, error.message)
    return redirect("radiology:export", public_id)


@require_GET
@role_required(Role.RADIOLOGIST)
def archive(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The tar, while it is kept; else 404."""
    found, user = _export_or_404(request, public_id), user_of(request)
    path = archive_path(found)
    if found.state != ExportState.READY or not path.is_file():
        raise Http404
    record("export.fetched", site=user.site, actor=user, subject=f"export:{found.pk}")
    response = FileResponse(
        path.open("rb"), as_attachment=True, filename=f"{found.project}-{found.public_id}.tar",
        content_type="application/x-tar",
    )  # fmt: skip
    response["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, response)  # the guard passes on whatever a view answers


def _export_or_404(request: HttpRequest, public_id: UUID) -> Export:
    found = export_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found
