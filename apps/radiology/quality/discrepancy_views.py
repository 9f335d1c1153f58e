"""The discrepancy queue, a case, and the second read one asks for or declines."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.common.selectors import first_to_show, instances_of
from apps.radiology.common.shortcuts import study_or_404
from apps.radiology.models import Kind, Reason, Study
from apps.radiology.quality.discrepancies import (
    VERDICTS,
    QueueFilter,
    case_of,
    cases_for,
    disputes_of,
    disputes_of_studies,
    is_reader,
    may_see_case,
    others_could,
)
from apps.radiology.quality.services.adjudicate import Settlement, adjudicate, open_case
from apps.radiology.reading.services.second_reads import decline_second_read, request_second_read
from apps.radiology.studies.filmviewer import address_of
from apps.radiology.studies.reads import opened_to
from apps.radiology.studies.second_reads import gives_second_read

PAGE_ROWS = 50


class QueueForm(forms.Form):
    """What is not offered counts as no filter."""

    state = forms.ChoiceField(required=False, choices=[("", "Open"), ("settled", "Settled")])
    kind = forms.ChoiceField(required=False, label="What differs", choices=[("", "Anything"), *Kind.choices])

    def chosen(self) -> QueueFilter:
        self.is_valid()
        return QueueFilter(**{name: value for name, value in self.cleaned_data.items() if value})


@require_GET
@role_required(Role.RADIOLOGIST)
def queue(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = QueueForm(request.GET)
    chosen = form.chosen()
    page = Paginator(cases_for(user, chosen), PAGE_ROWS).get_page(request.GET.get("page"))
    filters = {"state": chosen.state, "kind": chosen.kind}
    disputes = disputes_of_studies([study.pk for study in page])
    opened = opened_to(user, list(page))
    context = {
        "form": form,
        "page": page,
        # Which findings differ is itself an answer: only for who has said their own.
        "rows": [(study, disputes[study.pk].values() if study.pk in opened else None) for study in page],
        "query": urlencode({name: value for name, value in filters.items() if value}),
        "filtered": any(filters.values()),
        "active": "discrepancies",
    }
    return render(request, "radiology/discrepancies.html", context)


@require_GET
@role_required(Role.RADIOLOGIST)
def case(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user = user_of(request)
    with transaction.atomic():
        found = _case_or_404(request, public_id)
        record("study.viewed", site=user.site, actor=user, subject=f"study:{found.pk}")
    opened = may_see_case(user, found) and not gives_second_read(user, found)
    shown = first_to_show(instances_of(found))
    context: dict[str, Any] = {
        "study": found,
        "shown": shown,
        "film_address": address_of(shown),
        "opened": opened,
        "disputes": case_of(found, user) if opened else [],
        "waits": gives_second_read(user, found),
        "reader": is_reader(user, found),
        "others": others_could(user, found),
        "verdicts": VERDICTS,
        "reasons": Reason.choices,
        "active": "discrepancies",
    }
    return render(request, "radiology/case.html", context)


@require_POST
@role_required(Role.RADIOLOGIST)
def open_it(request: HttpRequest, public_id: UUID) -> HttpResponse:
    open_case(_case_or_404(request, public_id), user_of(request))
    return redirect("radiology:case", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def settle(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Of the findings in their order, those that were given a verdict."""
    found = _case_or_404(request, public_id)
    said = {}
    for number, label in enumerate(disputes_of(found)):
        if verdict := request.POST.get(f"verdict-{number}", ""):
            reason, point = (request.POST.get(f"{name}-{number}", "") for name in ("reason", "point"))
            said[label] = Settlement(verdict, reason, point)
    adjudicate(found, user_of(request), said)
    messages.success(request, "Settled. It stands as reference from now on.")
    return redirect("radiology:case", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def ask_second_read(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = study_or_404(request, public_id)
    try:
        request_second_read(found, user_of(request))
    except LynceusError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "A second read is asked for: the study is on your colleagues' worklist.")
    return redirect("radiology:study", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def decline_second(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = study_or_404(request, public_id)
    decline_second_read(found, user_of(request), request.POST.get("reason", ""))
    messages.success(request, "Declined: the study stays with your colleagues.")
    return redirect("radiology:worklist")


def _case_or_404(request: HttpRequest, public_id: UUID) -> Study:
    found = study_or_404(request, public_id)
    if not disputes_of(found):
        raise Http404
    return found
