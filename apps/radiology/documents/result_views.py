"""What was made of a study's findings, as a file for a person."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.radiology.common.store import film_path
from apps.radiology.documents.results import result_for
from apps.radiology.studies.reads import may_see_ai


@require_GET
@role_required(Role.RADIOLOGIST)
def result(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The DICOM file, while it says what the study is; else 404."""
    user = user_of(request)
    found = result_for(user.site, public_id)
    if found is None or not may_see_ai(user, found.study):
        raise Http404
    detail = {"result": found.pk}
    record("result.retrieved", site=user.site, actor=user, subject=f"study:{found.study_id}", detail=detail)
    path = film_path(found.site, found.file_sha256)
    name = f"{found.get_kind_display()} {found.public_id}.dcm".replace(" ", "-")
    response = FileResponse(
        path.open("rb"), as_attachment=True, filename=name, content_type="application/dicom"
    )
    response["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, response)  # the guard passes on whatever a view answers
