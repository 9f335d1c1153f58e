"""The page of block and allow lists."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.fraud.common.text_forms import without_card_numbers
from apps.fraud.common.told import told_of
from apps.fraud.models import ListKind, ListName
from apps.fraud.rules.rulebook import entries_of, entry_for
from apps.fraud.settle.services.acts import put_by_hand, take_off
from apps.fraud.tuning.rule_forms import EntryForm

SHOWN_MAX = 100


@require_http_methods(["GET", "POST"])
@role_required(Role.FRAUD_ANALYST)
def lists(request: HttpRequest) -> HttpResponse:
    """What is blocked and allowed; a POST adds one. No value is ever in the address."""
    user = user_of(request)
    data = request.POST.copy() if request.method == "POST" else None
    form = EntryForm(data, site=user.site)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            put_by_hand(
                name=ListName(given["list"]), kind=ListKind(given["kind"]), value=given["value"],
                until=given["expires_at"], reason=given["reason"], by=user,
            )  # fmt: skip
        except LynceusError as error:
            form.add_error("value", error.message)
        else:
            messages.success(request, "It counts from the next transaction on.")
            return redirect("fraud:lists")
    if data is not None and form.errors:
        without_card_numbers(data)
    return render(request, "fraud/lists.html", _lists(request, form), status=422 if form.errors else 200)


def _lists(request: HttpRequest, form: EntryForm) -> dict[str, Any]:
    ended = request.GET.get("show") == "ended"
    found = entries_of(user_of(request).site, ended=ended)
    chosen = {"list": request.GET.get("list", ""), "kind": request.GET.get("kind", "")}
    chosen["list"] = chosen["list"] if chosen["list"] in ListName.values else ""
    chosen["kind"] = chosen["kind"] if chosen["kind"] in ListKind.values else ""
    narrowed = {name: value for name, value in chosen.items() if value}
    page = Paginator(found.filter(**narrowed), SHOWN_MAX).get_page(request.GET.get("page"))
    return {
        "form": form,
        "page": page,
        "rows": told_of(list(page.object_list)),
        "ended": ended,
        "chosen": chosen,
        "narrowed": bool(narrowed),
        "query": urlencode({**({"show": "ended"} if ended else {}), **narrowed}),
        "names": ListName.choices,
        "kinds": ListKind.choices,
        "active": "rules",
    }


@require_POST
@role_required(Role.FRAUD_ANALYST)
def end(request: HttpRequest, entry_id: int) -> HttpResponse:
    user = user_of(request)
    entry = entry_for(user.site, entry_id)
    if entry is None:
        raise Http404
    take_off(entry, user)
    messages.success(request, "It no longer counts.")
    return redirect("fraud:lists")
