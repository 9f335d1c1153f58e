"""The page where thresholds are chosen from a budget or from costs, their consequence beside them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.fraud.operating import held_by, in_service, points_of, work_out
from apps.fraud.operating_figures import curve_of, day_rows, figure_rows
from apps.fraud.operating_forms import NoteForm, OperatingForm, initial_of
from apps.fraud.services.operating import set_operating_point
from apps.modelops.models import ModelVersion
from apps.modelops.selectors import version_for

POINTS_SHOWN = 20


@require_http_methods(["GET", "POST"])
@role_required(Role.ML_ADMIN)
def operating_point(request: HttpRequest, version_id: int) -> HttpResponse:
    """A GET may carry what is asked for; a POST saves it, worked out anew."""
    user, version = user_of(request), _version(request, version_id)
    held = held_by(version.artefact_hash)
    newest = points_of(user.site, version).first()
    saving = request.method == "POST"
    given = request.POST if saving else request.GET
    form = OperatingForm(given if "method" in given else initial_of(held, newest.asked if newest else None))
    note = NoteForm(request.POST if saving else None)
    if saving and (form.is_valid() & note.is_valid()):
        set_operating_point(
            site=user.site,
            version=version,
            proposal=work_out(version, form.asked()),
            note=note.cleaned_data["note"],
            by=user,
        )
        messages.success(request, "These thresholds hold from the next transaction on.")
        return redirect("fraud:operating_point", version.pk)
    context = {
        **_consequence(user, version, form),
        "note": note,
        "points": points_of(user.site, version)[:POINTS_SHOWN],
        "is_champion": version.model.champion_id == version.pk,
        "active": "models",
    }
    return render(request, "fraud/operating_point.html", context, status=422 if saving else 200)


@require_GET
@role_required(Role.ML_ADMIN)
def consequence(request: HttpRequest, version_id: int) -> HttpResponse:
    """What is asked for would come to; the page asks while its fields are edited."""
    user, version = user_of(request), _version(request, version_id)
    shown = _consequence(user, version, OperatingForm(request.GET))
    return _live(render(request, "fraud/consequence.html", shown))


@require_GET
@role_required(Role.ML_ADMIN)
def value_recall(request: HttpRequest, version_id: int) -> HttpResponse:
    """The chart's numbers: alerts a day, the share of fraud's value they find, and where the choice lies."""
    user, version = user_of(request), _version(request, version_id)
    form = OperatingForm(request.GET)
    if not form.is_valid():
        return _live(JsonResponse(curve_of(held_by(version.artefact_hash).table, None, None)))
    proposal = work_out(version, form.asked())
    now = in_service(user.site, version, proposal.asked)
    return _live(JsonResponse(curve_of(held_by(version.artefact_hash).table, now, proposal)))


def _consequence(user: User, version: ModelVersion, form: OperatingForm) -> dict[str, Any]:
    context: dict[str, Any] = {"version": version, "form": form, "proposal": None}
    if form.is_valid():
        proposal = work_out(version, form.asked())
        now = in_service(user.site, version, proposal.asked)
        context |= {
            "proposal": proposal,
            "now": now,
            "figures": figure_rows(proposal.came_to, now.came_to),
            "days": day_rows(proposal.came_to),
            "query": urlencode({name: form[name].value() for name in form.fields}),
        }
    return context


def _live(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def _version(request: HttpRequest, version_id: int) -> ModelVersion:
    found = version_for(user_of(request).site, version_id)
    if found is None or found.model.domain != "fraud":
        raise Http404
    return found
