"""The pages of patients: merge two numbers, take that back, give a study to another patient."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.common.shortcuts import study_or_404
from apps.radiology.intake.change_views import DECIDE, back_from
from apps.radiology.intake.patient_forms import MergeForm, MoveForm
from apps.radiology.intake.services.patients import merge_patients, move_study, undo_merge
from apps.radiology.studies.changes import merge_for, merges_at


@require_http_methods(["GET", "POST"])
@role_required(*DECIDE)
def patients(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = MergeForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            merge_patients(user.site, form.source, form.target, note=form.cleaned_data["note"], by=user)
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, "Merged: the studies of both are one patient's.")
            return redirect("radiology:patients")
    record("patients.viewed", site=user.site, actor=user)
    context = {"form": form, "merges": merges_at(user.site), "active": "changes"}
    return render(request, "radiology/patients.html", context, status=422 if form.is_bound else 200)


@require_POST
@role_required(*DECIDE)
def unmerge(request: HttpRequest, merge_id: int) -> HttpResponse:
    user = user_of(request)
    merge = merge_for(user.site, merge_id)
    if merge is None:
        raise Http404
    studies = undo_merge(merge, by=user)
    messages.success(request, f"Undone: {studies} stud{'y' if studies == 1 else 'ies'} given back.")
    return redirect("radiology:patients")


@require_http_methods(["GET", "POST"])
@role_required(Role.RADIOLOGIST)
def move(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user, study = user_of(request), study_or_404(request, public_id)
    form = MoveForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            move_study(study, form.patient, person=form.person, by=user)
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, "Moved: the study is the other patient's.")
            return back_from(user, study)
    context = {"form": form, "study": study, "active": "worklist"}
    return render(request, "radiology/move.html", context, status=422 if form.is_bound else 200)
