"""What was sent to a PACS, what waits, what could not be delivered."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.radiology.documents.dispatches import STATES, counts_at, dispatch_for, dispatches_at
from apps.radiology.documents.services.dispatches import retry_dispatch
from apps.radiology.models import Destination

PAGE_ROWS = 50
MAY = (Role.RADIOLOGIST, Role.OPERATOR)


@require_GET
@role_required(*MAY)
def deliveries(request: HttpRequest) -> HttpResponse:
    site, asked = user_of(request).site, request.GET.get("state", "")
    state = asked if asked in STATES else ""
    record("deliveries.viewed", site=site, actor=user_of(request))
    context = {
        "page": Paginator(dispatches_at(site, state), PAGE_ROWS).get_page(request.GET.get("page")),
        "query": urlencode({"state": state} if state else {}),
        "state": state,
        "states": STATES,
        "counts": counts_at(site),
        "configured": Destination.objects.filter(site=site, is_active=True).exists(),
        "active": "deliveries",
    }
    return render(request, "radiology/deliveries.html", context)


@require_POST
@role_required(*MAY)
def retry(request: HttpRequest, dispatch_id: int) -> HttpResponse:
    user = user_of(request)
    found = dispatch_for(user.site, dispatch_id)
    if found is None:
        raise Http404
    retry_dispatch(found, by=user)
    messages.success(request, "It is tried again.")
    return redirect("radiology:deliveries")
