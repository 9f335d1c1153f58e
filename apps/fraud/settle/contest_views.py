"""Declined customers who do not agree: the list, and looking again."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.fraud.common.text_forms import without_card_numbers
from apps.fraud.models import MESSAGE_MAX, Contest, ContestOutcome
from apps.fraud.settle.services.contests import settle_contest
from apps.fraud.wire.plain import plain_reasons

ANALYST = role_required(Role.FRAUD_ANALYST)
PAGE_ROWS = 50


class ContestForm(forms.Form):
    outcome = forms.ChoiceField(choices=ContestOutcome.choices, widget=forms.RadioSelect, label="You find")
    answer = forms.CharField(
        max_length=MESSAGE_MAX, label="What the customer is told",
        help_text="In plain words: no score, rule or model.", widget=forms.Textarea(attrs={"rows": 4}),
    )  # fmt: skip


@require_GET
@ANALYST
def contests(request: HttpRequest) -> HttpResponse:
    """Open ones, the longest waiting first; with `?shown=settled` the others."""
    user, settled = user_of(request), request.GET.get("shown") == "settled"
    record("contests.viewed", site=user.site, actor=user)
    found = contests_of(user.site).filter(settled_at__isnull=not settled)
    found = found.order_by("-settled_at", "-pk") if settled else found.order_by("opened_at", "pk")
    context = {
        "page": Paginator(found, PAGE_ROWS).get_page(request.GET.get("page")),
        "settled": settled,
        "query": "shown=settled" if settled else "",
        "active": "contests",
    }
    return render(request, "fraud/contests.html", context)


def contests_of(site: Site) -> QuerySet[Contest]:
    return Contest.objects.filter(site=site).select_related(
        "source", "settled_by", "decision__transaction__source", "decision__evidence"
    )


@require_http_methods(["GET", "POST"])
@ANALYST
def contest(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A POST settles it."""
    user = user_of(request)
    found = contests_of(user.site).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    form = ContestForm(request.POST.copy() if request.method == "POST" else None, label_suffix="")
    if request.method == "GET":
        record("contest.viewed", site=user.site, actor=user, subject=f"contest:{found.pk}")
    elif form.is_valid():
        given = form.cleaned_data
        try:
            settle_contest(found, outcome=ContestOutcome(given["outcome"]), answer=given["answer"], by=user)
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{found.source.name} can read the answer now.")
            return redirect("fraud:contests")
    if form.errors:
        without_card_numbers(cast("QueryDict", form.data))
    context = {
        "contest": found,
        "event": found.decision.transaction,
        "reasons": plain_reasons(found.decision),
        "form": form,
        "active": "contests",
    }
    return render(request, "fraud/contest.html", context, status=422 if form.errors else 200)
