"""Choosing the form in which a version's model serves."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.modelops.common import selectors
from apps.modelops.versions.services.variants import choose_variant


@require_POST
@role_required(Role.ML_ADMIN)
def choose(request: HttpRequest, version_id: int) -> HttpResponse:
    user = user_of(request)
    found = selectors.version_for(user.site, version_id)
    if found is None:
        raise Http404
    choose_variant(found, request.POST.get("variant", "")[:20], by=user, site=user.site)
    messages.success(request, "Chosen. Workers load it before their next batch.")
    return redirect("modelops:version", found.pk)
