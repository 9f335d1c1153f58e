"""What a person asks of a job from its page: a POST each, back to the page with a word of what came of it."""

from __future__ import annotations

from typing import Protocol

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.modelops.common.selectors import job_for
from apps.modelops.jobs.services import control
from apps.modelops.models import TrainingJob


class _Ask(Protocol):
    def __call__(self, job: TrainingJob, *, by: User) -> bool: ...


@require_POST
@role_required(Role.ML_ADMIN)
def cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    return _asked(request, job_id, control.request_cancel, "was asked to stop", "was over already")


@require_POST
@role_required(Role.ML_ADMIN)
def pause(request: HttpRequest, job_id: int) -> HttpResponse:
    return _asked(request, job_id, control.request_pause, "was asked to pause", "neither waits nor runs")


@require_POST
@role_required(Role.ML_ADMIN)
def resume(request: HttpRequest, job_id: int) -> HttpResponse:
    return _asked(request, job_id, control.request_resume, "is queued again", "cannot be resumed as it is")


@require_POST
@role_required(Role.ML_ADMIN)
def discard(request: HttpRequest, job_id: int) -> HttpResponse:
    """Delete the checkpoint that a failed or cancelled job would go on from."""
    return _asked(request, job_id, control.discard_checkpoint, "kept nothing more", "had nothing to discard")


def _asked(request: HttpRequest, job_id: int, ask: _Ask, done: str, refused: str) -> HttpResponse:
    user = user_of(request)
    found = job_for(user.site, job_id)
    if found is None:
        raise Http404
    if ask(found, by=user):
        messages.success(request, f"Job {found.pk} {done}.")
    else:
        messages.warning(request, f"Job {found.pk} {refused}.")
    return redirect("modelops:job", found.pk)
