"""The radiologist's pages: the live worklist, sending films, one study."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.changes import aside_of, identity_history, other_studies_of, proposals_of, rejections_of
from apps.radiology.forms import WorklistForm
from apps.radiology.models import OPEN, Finding, Instance, Status, Study
from apps.radiology.received import Outcome
from apps.radiology.results import results_of
from apps.radiology.selectors import (
    WorklistFilter,
    attention_of,
    counts_by_status,
    findings_of,
    first_to_show,
    instance_for,
    instances_of,
    latest_analysis,
    next_on_worklist,
    study_for,
    worklist_for,
)
from apps.radiology.services.uploads import Receipt, take_uploads
from apps.radiology.store import over_http, picture_path
from apps.radiology.templatetags.films import film_tone
from ml.radiology.vocabulary import NOTHING_CALLED, statement

PAGE_ROWS = 50
FILES_MAX = 100
HISTORY_SHOWN = 10
SAYS = {
    Outcome.STORED: ("queued", "Waits for the model."),
    Outcome.DUPLICATE: ("duplicate", "It was here already."),
    Outcome.NOTED: ("noted", "A rejection note: the films it names are out of use."),
    Outcome.REJECTED: ("rejected", "Stored, but a rejection note took it out of use."),
    Outcome.CORRECTED: ("corrected", "A known film: its patient and study data were corrected."),
    Outcome.WAITS: ("in_question", "A known film with other data: somebody has to accept the correction."),
}


@require_GET
@role_required(Role.RADIOLOGIST)
def worklist(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    site = user.site
    form = WorklistForm(request.GET)
    # Once a page opened; the polls that follow show the same list to the same person.
    record("worklist.viewed", site=site, actor=user)
    counts = counts_by_status(site)
    context = {
        **_rows(_page(request, site, form.chosen()), form.chosen()),
        "form": form,
        "site": site,
        "total": sum(counts.values()),
        "under_way": sum(counts.get(status, 0) for status in OPEN),
    }
    return render(request, "radiology/worklist.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def rows(request: HttpRequest) -> HttpResponse:
    """The worklist's table body; 204 while it still shows what `seen` says it shows."""
    site = user_of(request).site
    chosen = WorklistForm(request.GET).chosen()
    page = _page(request, site, chosen)
    if request.GET.get("seen") == _mark(page):
        return HttpResponse(status=204)
    return render(request, "radiology/rows.html", _rows(page, chosen))


def _page(request: HttpRequest, site: Site, chosen: WorklistFilter) -> Page[Study]:
    return Paginator(worklist_for(site, chosen), PAGE_ROWS).get_page(request.GET.get("page"))


def _rows(page: Page[Study], chosen: WorklistFilter) -> dict[str, Any]:
    given = {"status": chosen.status, "finding": chosen.finding, "q": chosen.q}
    filters = {name: value for name, value in given.items() if value}
    return {
        "page": page,
        "filters": urlencode(filters),
        "query": urlencode({**filters, "page": page.number, "seen": _mark(page)}),
        "filtered": bool(filters),
        "nothing_called": NOTHING_CALLED,
    }


def _mark(page: Page[Study]) -> str:
    """Of the very rows shown: a count or a latest time would miss what commits out of order."""
    shown = [(study.pk, study.changed_at.isoformat()) for study in page]
    return hashlib.sha256(f"{page.paginator.num_pages} {shown}".encode()).hexdigest()[:16]


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


@require_GET
@role_required(Role.RADIOLOGIST)
def instance_status(request: HttpRequest, public_id: UUID) -> JsonResponse:
    """What the page that sent the film follows."""
    instance = _instance(request, public_id)
    findings = findings_of(latest_analysis(instance))
    return JsonResponse(
        {
            "state": instance.get_status_display(),
            "code": instance.status,
            "tone": film_tone(instance.status),
            "message": _outcome(instance, findings),
            "done": not instance.is_open,
        }
    )


def _outcome(instance: Instance, findings: Sequence[Finding]) -> str:
    """What became of a film, in words; empty while nothing did."""
    if instance.status != Status.ANALYSED:
        return instance.reason
    return statement(findings)


@require_GET
@role_required(Role.RADIOLOGIST)
def study(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user = user_of(request)
    with transaction.atomic():
        found = _study(request, public_id)
        record("study.viewed", site=user.site, actor=user, subject=f"study:{found.pk}")
    context = _analysis(found, request.GET.get("film", ""))
    context |= {"active": "worklist", "next": next_on_worklist(found)}
    context |= {**changes_of(found), "others": other_studies_of(found)}
    return render(request, "radiology/study.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def analysis(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The live part of the study page; 204 while it still shows what `seen` says it shows."""
    found = _study(request, public_id)
    if request.GET.get("seen") == found.changed_at.isoformat():
        return HttpResponse(status=204)
    context = _analysis(found, request.GET.get("film", "")) | {"swapped_in": True}
    return render(request, "radiology/analysis.html", context)


def changes_of(found: Study) -> dict[str, Any]:
    """What the live part of the study page says about whose it is."""
    return {
        "proposals": proposals_of(found),
        "aside": aside_of(found),
        "rejections": rejections_of(found),
        "history": identity_history(found)[:HISTORY_SHOWN],
        "seen": found.changed_at.isoformat(),
    }


def _analysis(found: Study, film: str) -> dict[str, Any]:
    instances = instances_of(found)
    shown = next((one for one in instances if str(one.public_id) == film), None) or first_to_show(instances)
    said = latest_analysis(shown) if shown else None
    findings = findings_of(said)
    query = {"film": str(shown.public_id)} if shown else {}
    return {
        "study": found,
        "instances": instances,
        "shown": shown,
        "analysis": said,
        "findings": findings,
        "says": (_outcome(shown, findings) or f"{shown.get_status_display().capitalize()}.") if shown else "",
        "results": results_of(found),
        "open": any(instance.is_open for instance in instances),
        "query": urlencode({**query, "seen": found.changed_at.isoformat()}),
    }


@require_GET
@role_required(Role.RADIOLOGIST)
def image(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The film as an 8-bit greyscale PNG; 404 until it was decoded."""
    user = user_of(request)
    instance = _instance(request, public_id)
    path = picture_path(instance.site, instance.file_sha256)
    if not instance.has_picture or not path.is_file():
        raise Http404
    record("film.viewed", site=user.site, actor=user, subject=f"instance:{instance.pk}")
    response = FileResponse(path.open("rb"), content_type="image/png")
    response["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, response)  # the guard passes on whatever a view answers


@require_GET
@role_required(Role.RADIOLOGIST)
def attention(request: HttpRequest, public_id: UUID, label: str) -> HttpResponse:
    """Where the model looked for a finding it called, a transparent PNG to lay over the film; else 404."""
    overlay = attention_of(_instance(request, public_id), label)
    if overlay is None:
        raise Http404
    return HttpResponse(overlay, content_type="image/png", headers={"Cache-Control": "private, no-store"})


def _study(request: HttpRequest, public_id: UUID) -> Study:
    found = study_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found


def _instance(request: HttpRequest, public_id: UUID) -> Instance:
    found = instance_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found
