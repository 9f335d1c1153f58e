"""The auditor's page: filter, read, export."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.audit.forms import AuditFilter, Place
from apps.audit.models import AuditEvent
from apps.audit.selectors import actions_of, events_of, page_of
from apps.audit.services import record

COLUMNS = ("id", "at", "actor", "action", "subject", "detail")


@require_GET
@role_required(Role.AUDITOR)
def log(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = AuditFilter(request.GET)
    place = Place(request.GET)
    page = page_of(_filtered(user, form), **(place.cleaned_data if place.is_valid() else {}))
    query = request.GET.copy()
    for name in place.fields:
        query.pop(name, None)
    context = {
        "form": form,
        "page": page,
        "actions": actions_of(user.site),
        "query": query.urlencode(),
    }
    return render(request, "audit/log.html", context)


@require_GET
@role_required(Role.AUDITOR)
def export(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    events = _filtered(user, AuditFilter(request.GET))
    record("audit.exported", site=user.site, actor=user)
    response = StreamingHttpResponse(_csv(events), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response  # type: ignore[return-value]


def _filtered(user: User, form: AuditFilter) -> QuerySet[AuditEvent]:
    """What the form asks for; a filter that makes no sense finds nothing rather than everything."""
    if not form.is_valid():
        return AuditEvent.objects.none()
    return events_of(user.site, **form.cleaned_data)


class _Echo:
    def write(self, line: str) -> str:
        return line


def _csv(events: QuerySet[AuditEvent]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for e in events.iterator():
        detail = json.dumps(e.detail, sort_keys=True)
        yield writer.writerow([e.pk, e.at.isoformat(), e.actor, e.action, e.subject, detail])
