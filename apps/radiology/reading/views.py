"""The radiologist's pages: one study, its films, what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.services import record
from apps.radiology.common.selectors import (
    attention_of,
    findings_of,
    first_to_show,
    instances_of,
    latest_analysis,
)
from apps.radiology.common.shortcuts import instance_or_404, study_or_404
from apps.radiology.common.store import picture_path
from apps.radiology.documents.report_panel import report_panel
from apps.radiology.documents.results import results_of
from apps.radiology.exchange.peers import prior_fetches_of
from apps.radiology.models import Finding, Instance, Side, Status, Study, Verdict
from apps.radiology.reading.handed import handed_of
from apps.radiology.reading.regions import as_text, drawn_by
from apps.radiology.studies.changes import changes_of, other_studies_of
from apps.radiology.studies.filmviewer import address_of, next_address, priors_of
from apps.radiology.studies.late import late_films_of, mark_of
from apps.radiology.studies.reads import lines_of, lock_on, may_see_ai, read_of, reads_concurrently
from apps.radiology.studies.second_reads import second_read_panel
from apps.radiology.templatetags.films import film_tone
from apps.radiology.worklist.worklist import next_on_worklist
from ml.radiology.vocabulary import statement


@require_GET
@role_required(Role.RADIOLOGIST)
def instance_status(request: HttpRequest, public_id: UUID) -> JsonResponse:
    """What the page that sent the film follows."""
    instance = instance_or_404(request, public_id)
    opened = may_see_ai(user_of(request), instance.study)
    findings = findings_of(latest_analysis(instance))
    return JsonResponse(
        {
            "state": instance.get_status_display(),
            "code": instance.status,
            "tone": film_tone(instance.status),
            "message": _outcome(instance, findings) if opened or instance.status != Status.ANALYSED else "",
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
        found = study_or_404(request, public_id)
        record("study.viewed", site=user.site, actor=user, subject=f"study:{found.pk}")
    context = _analysis(found, user, request.GET.get("film", ""))
    following = next_on_worklist(found)
    context |= {"active": "worklist", "next": following, "next_address": next_address(following)}
    context |= {**changes_of(found), **panel_of(found, user), "others": other_studies_of(found)}
    context["late"] = late_films_of(found, user)
    context["prior_fetches"] = prior_fetches_of(found)
    return render(request, "radiology/study.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def analysis(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The live part of the study page; 204 while it still shows what `seen` says it shows."""
    found = study_or_404(request, public_id)
    if request.GET.get("seen") == found.changed_at.isoformat():
        return HttpResponse(status=204)
    user = user_of(request)
    context = _analysis(found, user, request.GET.get("film", "")) | panel_of(found, user)
    context["swapped_in"] = True
    return render(request, "radiology/analysis.html", context)


def panel_of(found: Study, user: User) -> dict[str, Any]:
    """The read panel: this reader's read, and who else holds the study."""
    read, lock = read_of(found, user), lock_on(found)
    return {
        "read": read,
        "lock": lock,
        "holds": lock is not None and lock.by_id == user.pk,
        "lines": lines_of(read) if read else [],
        "regions": as_text(drawn_by(read)) if read else "",
        "addenda": read.addenda.order_by("pk") if read else [],
        "concurrent": reads_concurrently(found.site),
        "verdicts": Verdict.choices,
        "sides": Side.choices,
        **handed_of(found, user),
        **second_read_panel(found, user),
        **report_panel(found, user, read),
    }


def _analysis(found: Study, user: User, film: str) -> dict[str, Any]:
    instances = instances_of(found)
    shown = next((one for one in instances if str(one.public_id) == film), None) or first_to_show(instances)
    opened = may_see_ai(user, found)
    said = latest_analysis(shown) if shown and opened else None
    findings = findings_of(said)
    query = {"film": str(shown.public_id)} if shown else {}
    return {
        "study": found,
        "instances": instances,
        "films": mark_of(one.pk for one in instances),
        "shown": shown,
        "analysis": said,
        "findings": findings,
        "opened": opened,
        "says": _says(shown, findings, opened) if shown else "",
        "results": results_of(found) if opened else [],
        "film_address": address_of(shown),
        "priors": priors_of(found),
        "open": any(instance.is_open for instance in instances),
        "query": urlencode({**query, "seen": found.changed_at.isoformat()}),
    }


def _says(shown: Instance, findings: list[Finding], opened: bool) -> str:
    outcome = _outcome(shown, findings) if opened or shown.status != Status.ANALYSED else ""
    return outcome or f"{shown.get_status_display().capitalize()}."


@require_GET
@role_required(Role.RADIOLOGIST)
def image(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The film as an 8-bit greyscale PNG; 404 until it was decoded."""
    user = user_of(request)
    instance = instance_or_404(request, public_id)
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
    instance = instance_or_404(request, public_id)
    overlay = attention_of(instance, label)
    if overlay is None or not may_see_ai(user_of(request), instance.study):
        raise Http404
    return HttpResponse(overlay, content_type="image/png", headers={"Cache-Control": "private, no-store"})
