"""From candidate to champion: the check at the gate, the request, the second person's word, the way back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.accounts.second_factor import ask_for_second_factor
from apps.core.errors import LynceusError
from apps.modelops.common.gate_selectors import (
    latest_gate_run,
    request_for,
    requests_of,
    uses_of_locked_part,
    work_ahead_of,
)
from apps.modelops.common.selectors import version_for
from apps.modelops.models import GateRun, ModelVersion, PromotionRequest
from apps.modelops.promotion.services.gate import request_gate_run
from apps.modelops.promotion.services.promotion import (
    approve_promotion,
    ask_to_promote,
    refuse_promotion,
    roll_back,
    withdraw_promotion,
)

PHASES = {
    "open": "Replaying golden inputs", "features": "Replaying history", "replay": "Replaying history",
    "candidate": "Scoring with the candidate", "champion": "Scoring with the champion",
    "compare": "Comparing on many draws", "latency": "Timing both",
}  # fmt: skip
DECISIONS = {
    "promote": (approve_promotion, "Version {} is in service. Workers load it before their next batch."),
    "refuse": (refuse_promotion, "The promotion of version {} is refused."),
    "withdraw": (withdraw_promotion, "The request to promote version {} is withdrawn."),
}


@require_POST
@role_required(Role.ML_ADMIN)
def check_at_gate(request: HttpRequest, version_id: int) -> HttpResponse:
    found, user = version_of(request, version_id), user_of(request)
    request_gate_run(found, by=user, site=user.site)
    return redirect("modelops:version", found.pk)


@require_GET
@role_required(Role.ML_ADMIN)
def gate_live(request: HttpRequest, version_id: int) -> HttpResponse:
    """The gate's part of the version's page; 204 while it still shows what `seen` says it shows."""
    found = version_of(request, version_id)
    context = gate_context(found, user_of(request))
    if request.GET.get("seen") == context["gate_mark"]:
        return HttpResponse(status=204)
    response = render(request, "modelops/gate.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@role_required(Role.ML_ADMIN)
def ask(request: HttpRequest, version_id: int) -> HttpResponse:
    """Ask that a version become the champion; somebody else decides."""
    found, user = version_of(request, version_id), user_of(request)
    if (answer := ask_for_second_factor(request)) is not None:
        return answer
    ask_to_promote(found, by=user, site=user.site)
    messages.success(request, f"Version {found.number} waits for a second person.")
    return redirect("modelops:version", found.pk)


@require_POST
@role_required(Role.ML_ADMIN)
def decide(request: HttpRequest, request_id: int) -> HttpResponse:
    """The second person promotes or refuses (`decision`); who asked may withdraw."""
    user = user_of(request)
    asked = request_for(user.site, request_id)
    if asked is None:
        raise Http404
    wanted = request.POST.get("decision", "")
    if wanted not in DECISIONS:
        raise LynceusError("invalid_decision", "Say promote, refuse or withdraw.", status=422)
    if (answer := ask_for_second_factor(request)) is not None:
        return answer
    do, said = DECISIONS[wanted]
    do(asked, by=user, site=user.site)
    messages.success(request, said.format(asked.version.number))
    return redirect("modelops:version", asked.version_id)


@require_POST
@role_required(Role.ML_ADMIN)
def back(request: HttpRequest, version_id: int) -> HttpResponse:
    """Roll back to this version, if it is what served right before the champion."""
    found, user = version_of(request, version_id), user_of(request)
    if (answer := ask_for_second_factor(request)) is not None:
        return answer
    roll_back(found, by=user, site=user.site)
    messages.success(
        request, f"Version {found.number} is back in service. Workers load it before their next batch."
    )
    return redirect("modelops:version", found.pk)


def version_of(request: HttpRequest, version_id: int) -> ModelVersion:
    found = version_for(user_of(request).site, version_id)
    if found is None:
        raise Http404
    return found


def gate_context(version: ModelVersion, user: User) -> dict[str, Any]:
    """What the gate's part of a version's page shows to this person."""
    run, requests = latest_gate_run(version), list(requests_of(version))
    waiting = next((one for one in requests if one.status == PromotionRequest.Status.OPEN), None)
    model = version.model
    is_current = (
        run is not None and run.status == GateRun.Status.DONE and run.champion_id == model.champion_id
    )
    told = run.progress if run is not None else {}
    ahead = work_ahead_of(run) if run is not None and run.status == GateRun.Status.QUEUED else 0
    return {
        "version": version,
        "gate_run": run,
        "gate_phase": PHASES.get(told.get("phase", ""), ""),
        "gate_step": told.get("step"),
        "gate_steps": told.get("steps"),
        "gate_ahead": ahead,
        "gate_is_current": is_current,
        "failed_lines": [line for line in run.lines if not line["passed"]] if run is not None else [],
        "learnt_elsewhere": version.tested_on is None,
        "locked_uses": uses_of_locked_part(version.dataset),
        "promotion_requests": requests,
        "waiting": waiting,
        "may_decide": waiting is not None and waiting.asked_by_id != user.pk,
        "may_ask": is_current and run is not None and run.passed and waiting is None,
        "is_champion": model.champion_id == version.pk,
        "champion": model.champion,
        "back_to": _back_to(version, user),
        "gate_mark": f"{run.pk}.{run.fence}.{run.status}.{told.get('phase')}.{told.get('step')}.{ahead}"
        if run
        else "",
    }


def _back_to(version: ModelVersion, user: User) -> ModelVersion | None:
    """What may be rolled back to from this page: that of the champion, and its own."""
    model = version.model
    before = model.previous
    if before is None or before.pk == model.champion_id or before.dataset.site_id != user.site_id:
        return None
    return before if version.pk in (model.champion_id, before.pk) else None
