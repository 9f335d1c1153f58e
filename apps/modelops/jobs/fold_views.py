"""The page of a cross-validation: each fold's job and measures, and what they come to together."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.modelops.common.measures import title_of
from apps.modelops.common.selectors import cross_validation_for, jobs_of_folds
from apps.modelops.jobs.folds import measures_shown, spreads_of, status_of
from apps.modelops.jobs.notices import seen
from apps.modelops.jobs.services.folds import cancel_folds
from apps.modelops.jobs.standing import standing_of, took_s
from apps.modelops.models import CrossValidation, TrainingJob
from apps.modelops.registry import domain_named


@require_GET
@role_required(Role.ML_ADMIN)
def cross_validation(request: HttpRequest, cross_validation_id: int) -> HttpResponse:
    found = _found(request, cross_validation_id)
    jobs = jobs_of_folds(found)
    seen(jobs, user_of(request))
    return render(request, "modelops/cross_validation.html", _context(found, jobs))


@require_GET
@role_required(Role.ML_ADMIN)
def cross_validation_live(request: HttpRequest, cross_validation_id: int) -> HttpResponse:
    """The live part of the page; 204 while it still shows what `seen` says it shows."""
    found = _found(request, cross_validation_id)
    context = _context(found, jobs_of_folds(found))
    if request.GET.get("seen") == context["mark"]:
        return HttpResponse(status=204)
    answer = render(request, "modelops/fold_rows.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@role_required(Role.ML_ADMIN)
def cancel_all(request: HttpRequest, cross_validation_id: int) -> HttpResponse:
    found = _found(request, cross_validation_id)
    if cancel_folds(found, by=user_of(request)):
        messages.success(request, f"The jobs of cross-validation {found.pk} were asked to stop.")
    else:
        messages.warning(request, f"Cross-validation {found.pk} was over already.")
    return redirect("modelops:cross_validation", found.pk)


def _context(found: CrossValidation, jobs: list[TrainingJob]) -> dict[str, Any]:
    domain = domain_named(found.dataset.domain)
    names = measures_shown(jobs)
    states = [(job.status, job.cancel_requested, job.pause_requested, job.progress) for job in jobs]
    status = status_of(jobs)
    return {
        "crossed": found,
        "domain": domain,
        "jobs": [(job, standing_of(job, domain), took_s(job), _measured(job, names)) for job in jobs],
        "columns": [title_of(name) for name in names],
        "spreads": spreads_of(jobs),
        "status": status,
        "n_done": sum(job.status == TrainingJob.Status.SUCCEEDED for job in jobs),
        "failed": [job for job in jobs if job.status == TrainingJob.Status.FAILED],
        "is_open": any(job.is_open for job in jobs),
        "can_cancel": any(job.is_open or job.status == TrainingJob.Status.PAUSED for job in jobs),
        "mark": hashlib.sha256(repr(states).encode()).hexdigest()[:16],
        "active": "models",
    }


def _measured(job: TrainingJob, names: list[str]) -> list[tuple[str, float | None]]:
    return [(title_of(name), (job.measured or {}).get(name)) for name in names]


def _found(request: HttpRequest, cross_validation_id: int) -> CrossValidation:
    found = cross_validation_for(user_of(request).site, cross_validation_id)
    if found is None:
        raise Http404
    return found
