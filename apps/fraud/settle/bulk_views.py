"""One verdict on all cards that were ticked: what it would come to first, then at once or not at all."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.models import WorkItem
from apps.fraud.settle.disposition_forms import DispositionForm
from apps.fraud.settle.services.dispositions import BULK_MAX, dispose_many, preview
from apps.fraud.work.queue import items_among


@require_POST
@role_required(Role.FRAUD_ANALYST)
def settle_items(request: HttpRequest) -> HttpResponse:
    """Without `sure` the effect of settling what was ticked; with it, that verdict on just what was shown."""
    user, items = user_of(request), _ticked(request)
    if not items:
        messages.error(request, f"Nothing was changed. Tick 1 to {BULK_MAX} cards that are still open.")
        return redirect("fraud:queue")
    sure = "sure" in request.POST
    form = DispositionForm(request.POST if sure else None)
    if sure and form.is_valid():
        shown = {name: _number(request.POST.get(name, "")) for name in ("upto", "alerts")}
        try:
            batch = dispose_many(items, form.said(), user, **shown)
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            messages.success(
                request, f"Settled: {counted(shown['alerts'], 'alert')} in {counted(len(items), 'item')}."
            )
            return redirect(f"{reverse('fraud:queue')}?show={items[0].desk}&undo={batch}")
    context = {"items": items, "effect": preview(items, user), "settle": form, "active": "alerts"}
    return render(request, "fraud/settle_many.html", context, status=422 if sure else 200)


def _ticked(request: HttpRequest) -> list[WorkItem]:
    given = request.POST.getlist("items")
    if len(given) > BULK_MAX:
        return []
    return items_among(user_of(request).site, [_number(one) for one in given])


def _number(text: Any) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
