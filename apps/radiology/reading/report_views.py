"""A signed read as a report: a page, a PDF, a DICOM document."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.radiology.common.store import film_path
from apps.radiology.documents.report_pdf import as_pdf
from apps.radiology.documents.reports import document_of, report_for, report_of
from apps.radiology.models import Read
from apps.radiology.reading.read_views import own_read
from apps.radiology.reading.services.report_text import choose_template

PRIVATE = {"Cache-Control": "private, no-store"}


@require_GET
@role_required(Role.RADIOLOGIST)
def report(request: HttpRequest, public_id: UUID) -> HttpResponse:
    with transaction.atomic():
        read = _read(request, public_id, "page")
    sent = read.documents.filter(superseded_at=None).first()
    context = {
        "report": report_of(read),
        "study": read.study,
        "document": document_of(read),
        "dispatches": sent.dispatches.select_related("destination").order_by("pk") if sent else [],
        "active": "worklist",
    }
    return render(request, "radiology/report.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def report_pdf(request: HttpRequest, public_id: UUID) -> HttpResponse:
    with transaction.atomic():
        read = _read(request, public_id, "pdf")
    name = f'inline; filename="report-{read.public_id}.pdf"'
    headers = {**PRIVATE, "Content-Disposition": name}
    return HttpResponse(as_pdf(report_of(read)), content_type="application/pdf", headers=headers)


@require_GET
@role_required(Role.RADIOLOGIST)
def report_dicom(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The version in force; 404 until it is made, and while it is in doubt whose it is."""
    with transaction.atomic():
        document = document_of(_read(request, public_id, "dicom"))
    if document is None:
        raise Http404
    response = FileResponse(
        film_path(document.site, document.file_sha256).open("rb"),
        as_attachment=True, filename=f"report-{public_id}.dcm", content_type="application/dicom",
    )  # fmt: skip
    response["Cache-Control"] = PRIVATE["Cache-Control"]
    return cast(HttpResponse, response)  # the guard passes on whatever a view answers


@require_POST
@role_required(Role.RADIOLOGIST)
def use_template(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Begin this reader's report from a template, or go on in free text."""
    choose_template(own_read(request, public_id), request.POST.get("template", ""))
    return redirect("radiology:study", public_id)


def _read(request: HttpRequest, public_id: UUID, form: str) -> Read:
    user = user_of(request)
    read = report_for(user, public_id)
    if read is None:
        raise Http404
    detail = {"read": read.pk, "form": form}
    record("report.viewed", site=user.site, actor=user, subject=f"study:{read.study_id}", detail=detail)
    return read
