"""Sending films from a browser, and what the page is told of each file."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.radiology.common.store import over_http
from apps.radiology.intake.received import Outcome
from apps.radiology.intake.services.uploads import Receipt, take_uploads
from apps.radiology.templatetags.films import film_tone

FILES_MAX = 100
SAYS = {
    Outcome.STORED: ("queued", "Waits for the model."),
    Outcome.DUPLICATE: ("duplicate", "It was here already."),
    Outcome.NOTED: ("noted", "A rejection note: the films it names are out of use."),
    Outcome.REJECTED: ("rejected", "Stored, but a rejection note took it out of use."),
    Outcome.CORRECTED: ("corrected", "A known film: its patient and study data were corrected."),
    Outcome.WAITS: ("in_question", "A known film with other data: somebody has to accept the correction."),
}


@require_http_methods(["GET", "POST"])
@role_required(Role.RADIOLOGIST)
def upload(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return render(request, "radiology/upload.html")
    user = user_of(request)
    files = request.FILES.getlist("files")
    if not files or len(files) > FILES_MAX:
        raise LynceusError("no_files", f"Send 1 to {FILES_MAX} files in the field 'files'.", status=422)
    with over_http():
        receipts = take_uploads(files, user=user)
    answers = [answer_of(receipt) for receipt in receipts]
    if request.accepts("text/html"):
        return render(request, "radiology/upload.html", {"files": answers})
    return JsonResponse({"files": answers}, status=202)


def answer_of(receipt: Receipt) -> dict[str, Any]:
    """What the page is told of one file."""
    instance = receipt.instance
    if receipt.outcome is None:
        return {
            "name": receipt.name,
            "state": "refused",
            "tone": film_tone("refused"),
            "code": receipt.code,
            "message": receipt.message,
        }
    state, message = SAYS[receipt.outcome]
    answer = {
        "name": receipt.name,
        "state": state,
        "tone": film_tone(state),
        "message": message,
    }
    if instance is None or instance.rejected_by:
        return answer  # nothing that a page shows
    return {
        **answer,
        "url": reverse("radiology:study", args=[instance.study.public_id]),
        "status_url": reverse("radiology:instance_status", args=[instance.public_id]),
    }
