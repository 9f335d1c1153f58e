"""Critical findings: mark one, the list of those nobody was told of, and who was."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.documents.reports import policy_of
from apps.radiology.models import Channel, Communication
from apps.radiology.reading.read_views import own_read
from apps.radiology.reading.services.communications import (
    mark_critical,
    tell_communication,
    withdraw_communication,
)
from apps.radiology.reading.told_form import ToldForm
from apps.radiology.worklist.communications import (
    closed_communications,
    communication_for,
    open_communications,
)

PAGE_ROWS = 50


@require_GET
@role_required(Role.RADIOLOGIST)
def communications(request: HttpRequest) -> HttpResponse:
    """Open ones, the longest waiting first; with `?shown=settled` the others."""
    user, settled = user_of(request), request.GET.get("shown") == "settled"
    record("communications.viewed", site=user.site, actor=user)
    found = closed_communications(user.site) if settled else open_communications(user.site)
    context = {
        "page": Paginator(found, PAGE_ROWS).get_page(request.GET.get("page")),
        "query": "shown=settled" if settled else "",
        "settled": settled,
        "waiting": open_communications(user.site).count(),
        "channels": Channel.choices,
        "policy": policy_of(user.site),
        "active": "communications",
    }
    return render(request, "radiology/communications.html", context)


@require_POST
@role_required(Role.RADIOLOGIST)
def mark(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A finding of this reader's own read, in their words or as one of those on the panel."""
    other = request.POST.get("other", "").strip()
    made = mark_critical(own_read(request, public_id), other or request.POST.get("finding", ""))
    messages.warning(request, f"Critical: {made.finding}. Say who was told.")
    return redirect("radiology:study", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def tell(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Whoever of the site told somebody writes it down."""
    found, form = _communication(request, public_id), ToldForm(request.POST)
    if not form.is_valid():
        raise LynceusError("not_said", "Say who was told, and how.", status=422)
    tell_communication(found, form.told(), by=user_of(request))
    messages.success(request, "Written down.")
    return redirect("radiology:communications")


@require_POST
@role_required(Role.RADIOLOGIST)
def withdraw(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = _communication(request, public_id)
    withdraw_communication(found, request.POST.get("why", ""), by=user_of(request))
    messages.success(request, "Taken back.")
    return redirect("radiology:communications")


def _communication(request: HttpRequest, public_id: UUID) -> Communication:
    found = communication_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found
