"""The page where thresholds are chosen: by hand, from a budget or from costs, their consequence beside them.

Tighter ones hold at once for some hours, looser ones once a colleague agrees.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.common.recent import recent_scores, weeks
from apps.fraud.rules.operating import (
    held_by,
    in_force,
    in_service,
    loosens,
    points_of,
    proposal_for,
    proposals_of,
    why_not_review,
    work_out,
)
from apps.fraud.rules.services.operating import ALONE_MAX, ask_for_operating_point, review_proposal
from apps.fraud.tuning.operating_curves import CHARTS, curves_of, weekly
from apps.fraud.tuning.operating_figures import curve_of, day_rows, figure_rows
from apps.fraud.tuning.operating_forms import NoteForm, OperatingForm, ReviewForm, initial_of
from apps.modelops.common.selectors import champion, version_for
from apps.modelops.models import ModelVersion
from ml.fraud.operating import Costs

POINTS_SHOWN = 20
MAY = (Role.FRAUD_ANALYST, Role.ML_ADMIN)


@require_GET
@role_required(*MAY)
def thresholds(request: HttpRequest) -> HttpResponse:
    """Of the version in service, if it is one of the site's."""
    found = champion("fraud")
    if found is None or version_for(user_of(request).site, found.pk) is None:
        return render(request, "fraud/no_thresholds.html", {"active": "rules"})
    return redirect("fraud:operating_point", found.pk)


@require_http_methods(["GET", "POST"])
@role_required(*MAY)
def operating_point(request: HttpRequest, version_id: int) -> HttpResponse:
    """A GET may carry what is asked for; a POST saves it, worked out anew."""
    user, version = user_of(request), _version(request, version_id)
    held = held_by(version.artefact_hash)
    force = in_force(user.site, version)
    saving = request.method == "POST"
    given = request.POST if saving else request.GET
    asked = force.point.asked if force.point else None
    form = OperatingForm(given if "method" in given else initial_of(held, asked, force.limits))
    note = NoteForm(request.POST if saving else None)
    if saving and (form.is_valid() & note.is_valid()):
        try:
            made = ask_for_operating_point(
                site=user.site,
                version=version,
                proposal=work_out(version, form.asked()),
                note=note.cleaned_data["note"],
                by=user,
            )
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, WAITS if made.loosens else HOLDS)
            return redirect("fraud:operating_point", version.pk)
    context = {
        **_consequence(user, version, form),
        **_standing(user, version),
        "note": note,
        "force": force,
    }
    return render(request, "fraud/operating_point.html", context, status=422 if saving else 200)


HOLDS = "They hold from the next transaction on, for 24 hours at most. Somebody else reviews them."
WAITS = "This loosens: it holds once somebody else agrees."


def _standing(user: User, version: ModelVersion) -> dict[str, Any]:
    """What was asked for and what holds, week by week how it went, and who may say what of it."""
    recent = recent_scores(user.site, version.artefact_hash)
    limits = in_force(user.site, version).limits
    return {
        "points": points_of(user.site, version)[:POINTS_SHOWN],
        "proposals": [(one, why_not_review(one, user)) for one in proposals_of(user.site, version)],
        "review_form": ReviewForm(),
        "is_champion": version.model.champion_id == version.pk,
        "charts": CHARTS_SAID,
        "weeks": weeks(recent, limits.review),
        "recent": recent,
        "alone_hours": ALONE_MAX.total_seconds() / 3600,
        "now": now(),
        "active": "models" if user.role == Role.ML_ADMIN else "rules",
    }


CHARTS_SAID = (
    ("rates", "Precision and recall"),
    ("alerts", "Alerts a day"),
    ("money", "Money saved and lost a day"),
)


@require_POST
@role_required(*MAY)
def review_operating_point(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """What a colleague asked for holds until further notice, or no longer."""
    user = user_of(request)
    proposal = proposal_for(user.site, proposal_id)
    if proposal is None:
        raise Http404
    form = ReviewForm(request.POST)
    if not form.is_valid():
        raise LynceusError("invalid_review", "Accept it, or refuse it and say why.", status=422)
    accepted = form.cleaned_data["verdict"] == "accept"
    review_proposal(proposal=proposal, accepted=accepted, note=form.cleaned_data["note"], by=user)
    messages.success(request, "It holds from the next transaction on." if accepted else "It does not hold.")
    return redirect("fraud:operating_point", proposal.version_id)


@require_GET
@role_required(*MAY)
def threshold_curves(request: HttpRequest, version_id: int, name: str) -> HttpResponse:
    """One chart's numbers; "weeks" is the one by time. Costs are those asked for last, or as they come."""
    user, version = user_of(request), _version(request, version_id)
    if name not in {*CHARTS, "weeks"}:
        raise Http404
    held, force = held_by(version.artefact_hash), in_force(user.site, version)
    recent = recent_scores(user.site, version.artefact_hash)
    if name == "weeks":
        return _live(JsonResponse(weekly(weeks(recent, force.limits.review))))
    costs = Costs(**force.point.asked["costs"]) if force.point else Costs()
    return _live(JsonResponse(curves_of(name, held.table, recent, costs, force.limits)))


@require_GET
@role_required(*MAY)
def consequence(request: HttpRequest, version_id: int) -> HttpResponse:
    """What is asked for would come to; the page asks while its fields are edited."""
    user, version = user_of(request), _version(request, version_id)
    shown = _consequence(user, version, OperatingForm(request.GET))
    return _live(render(request, "fraud/consequence.html", shown))


@require_GET
@role_required(*MAY)
def value_recall(request: HttpRequest, version_id: int) -> HttpResponse:
    """The chart's numbers: alerts a day, the share of fraud's value they find, and where the choice lies."""
    user, version = user_of(request), _version(request, version_id)
    form = OperatingForm(request.GET)
    if not form.is_valid():
        return _live(JsonResponse(curve_of(held_by(version.artefact_hash).table, None, None)))
    proposal = work_out(version, form.asked())
    serving = in_service(user.site, version, proposal.asked)
    return _live(JsonResponse(curve_of(held_by(version.artefact_hash).table, serving, proposal)))


def _consequence(user: User, version: ModelVersion, form: OperatingForm) -> dict[str, Any]:
    context: dict[str, Any] = {"version": version, "form": form, "proposal": None}
    if form.is_valid():
        proposal = work_out(version, form.asked())
        serving = in_service(user.site, version, proposal.asked)
        context |= {
            "proposal": proposal,
            "serving": serving,
            "loosens": loosens(proposal.limits, than=serving.limits),
            "unchanged": proposal.limits == serving.limits,
            "figures": figure_rows(proposal.came_to, serving.came_to),
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
