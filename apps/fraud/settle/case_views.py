"""Cases: the list, one case, and what is done with it."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.fraud.common.text_forms import without_card_numbers
from apps.fraud.models import CASE_TEXT_MAX, Case
from apps.fraud.settle.case_pdf import as_pdf
from apps.fraud.settle.services.cases import (
    add_evidence,
    ask_closing,
    closed_alone,
    open_case,
    settle_closing,
)

ANALYST = role_required(Role.FRAUD_ANALYST)
PAGE_ROWS = 50
SHOWN: dict[str, dict[str, Any]] = {
    "open": {"closing_at": None},
    "closing": {"closing_at__isnull": False, "closed_at": None},
    "closed": {"closed_at__isnull": False},
}


class TitleForm(forms.Form):
    title = forms.CharField(max_length=150, label="What it is about")


class EvidenceForm(forms.Form):
    text = forms.CharField(max_length=CASE_TEXT_MAX, label="Note", widget=forms.Textarea(attrs={"rows": 3}))
    link = forms.URLField(
        required=False,
        max_length=500,
        assume_scheme="https",
        label="Link",
        help_text="Where the evidence is kept.",
    )


class ClosingForm(forms.Form):
    conclusion = forms.CharField(
        max_length=CASE_TEXT_MAX, label="What came of it", widget=forms.Textarea(attrs={"rows": 3})
    )


@require_http_methods(["GET", "POST"])
@ANALYST
def cases(request: HttpRequest) -> HttpResponse:
    """A POST opens one."""
    user = user_of(request)
    form = TitleForm(request.POST.copy() if request.method == "POST" else None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        try:
            case = open_case(title=form.cleaned_data["title"], alerts=[], by=user)
        except LynceusError as error:
            form.add_error("title", error.message)
        else:
            return redirect("fraud:case", case.public_id)
    if form.errors:
        without_card_numbers(cast("QueryDict", form.data))
    shown = request.GET.get("shown", "open")
    shown = shown if shown in SHOWN else "open"
    found = cases_of(user.site).filter(**SHOWN[shown])
    context = {
        "page": Paginator(found, PAGE_ROWS).get_page(request.GET.get("page")),
        "shown": shown,
        "query": f"shown={shown}",
        "form": form,
        "active": "cases",
    }
    return render(request, "fraud/cases.html", context, status=422 if form.errors else 200)


def cases_of(site: Site) -> QuerySet[Case]:
    """The newest first."""
    found = Case.objects.filter(site=site).select_related("opened_by", "closing_by", "closed_by")
    return found.annotate(n_alerts=Count("alerts")).order_by("-number")


@require_GET
@ANALYST
def case(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = _case(request, public_id)
    record("case.viewed", site=found.site, actor=user_of(request), subject=f"case:{found.pk}")
    return _page(request, found)


@require_POST
@ANALYST
def evidence(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found, form = _case(request, public_id), EvidenceForm(request.POST.copy(), label_suffix="")
    if form.is_valid():
        try:
            add_evidence(found, user_of(request), **form.cleaned_data)
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            return redirect("fraud:case", public_id)
    return _page(request, found, evidence_form=form)


@require_POST
@ANALYST
def ask(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Asks for the case to be closed."""
    found, form = _case(request, public_id), ClosingForm(request.POST.copy(), label_suffix="")
    if form.is_valid():
        try:
            ask_closing(found, form.cleaned_data["conclusion"], user_of(request))
        except LynceusError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, "Somebody else closes it.")
            return redirect("fraud:case", public_id)
    return _page(request, found, closing_form=form)


@require_POST
@ANALYST
def close(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """`do`: close, or else it stays open and `why` says why."""
    found = _case(request, public_id)
    why = request.POST.get("why", "").strip()[:CASE_TEXT_MAX]
    settle_closing(found, user_of(request), close=request.POST.get("do") == "close", why=why)
    return redirect("fraud:case", public_id)


@require_GET
@ANALYST
def pdf(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = _case(request, public_id)
    record("case.exported", site=found.site, actor=user_of(request), subject=f"case:{found.pk}")
    response = HttpResponse(as_pdf(found), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="case-{found.number}.pdf"'
    return response


def _page(request: HttpRequest, found: Case, **bound: Any) -> HttpResponse:
    for form in bound.values():
        without_card_numbers(form.data)
    context = {
        "case": found,
        "entries": found.entries.select_related("by", "alert__decision__transaction").order_by("-pk"),
        "alerts": found.alerts.select_related("decision__transaction").order_by("-pk"),
        "evidence_form": EvidenceForm(label_suffix=""),
        "closing_form": ClosingForm(label_suffix=""),
        "alone": closed_alone(found, user_of(request)),
        "active": "cases",
        **bound,
    }
    return render(request, "fraud/case.html", context, status=422 if bound else 200)


def _case(request: HttpRequest, public_id: UUID) -> Case:
    found = cases_of(user_of(request).site).select_related("site").filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found
