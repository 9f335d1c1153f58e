"""The desk's doors: keep and drop a view of the worklist, hand a study over, say that late films
were seen."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.core.errors import LynceusError
from apps.core.saved_views import delete_view as delete_saved_view
from apps.core.saved_views import save_view as save_worklist_view
from apps.radiology.common.shortcuts import study_or_404
from apps.radiology.models import SavedView
from apps.radiology.reading.read_views import is_whole, keep_form
from apps.radiology.reading.services.hand_over import hand_over as hand_over_study
from apps.radiology.studies.reads import read_for, reads_concurrently
from apps.radiology.studies.services.late_films import see_late_films
from apps.radiology.worklist.forms import WorklistForm
from apps.radiology.worklist.worklist import colleagues_of
from apps.radiology.worklist.worklist_views import without_search


@require_POST
@role_required(Role.RADIOLOGIST)
def save_view(request: HttpRequest) -> HttpResponse:
    """The filters in the form, without what was searched for: that is a patient's."""
    user = user_of(request)
    chosen = WorklistForm(request.POST, concurrent=reads_concurrently(user.site)).chosen()
    filters = without_search(chosen)
    save_worklist_view(SavedView, user, request.POST, filters)
    return redirect(f"{reverse('radiology:worklist')}?{urlencode(filters)}")


@require_POST
@role_required(Role.RADIOLOGIST)
def delete_view(request: HttpRequest, view_id: int) -> HttpResponse:
    if not delete_saved_view(SavedView, user_of(request), view_id):
        raise Http404
    return redirect("radiology:worklist")


@require_POST
@role_required(Role.RADIOLOGIST)
def hand_over(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Leave the study to `to`, a colleague's number, or to whoever is next. What was marked is kept first."""
    study, user = study_or_404(request, public_id), user_of(request)
    read = read_for(user, public_id)
    if read is not None and read.is_open and is_whole(request):
        keep_form(request, read)
    hand_over_study(study, user, to=_colleague(request, user), note=request.POST.get("note", ""))
    messages.success(request, "Handed over.")
    return redirect("radiology:worklist")


def _colleague(request: HttpRequest, user: User) -> User | None:
    chosen = request.POST.get("to", "")
    if not chosen:
        return None
    found = next((one for one in colleagues_of(user) if str(one.pk) == chosen), None)
    if found is None:
        raise LynceusError("no_colleague", "Choose a radiologist of your site.", status=422)
    return found


@require_POST
@role_required(Role.RADIOLOGIST)
def late_films_seen(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found, shown = study_or_404(request, public_id), request.POST.get("films", "")
    try:
        see_late_films(found, by=user_of(request), shown=shown)
    except LynceusError as error:
        messages.error(request, error.message)
    return redirect("radiology:study", public_id)
