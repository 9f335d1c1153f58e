"""A dataset's page, and what it has that another has not."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.errors import LynceusError
from apps.modelops.common import selectors
from apps.modelops.common.gate_selectors import uses_of_locked_part
from apps.modelops.common.measures import measured
from apps.modelops.datasets.difference import difference_of
from apps.modelops.datasets.summaries import Summary
from apps.modelops.models import DatasetSnapshot
from apps.modelops.registry import domain_named

OTHERS_SHOWN = 30


@require_GET
@role_required(Role.ML_ADMIN)
def dataset(request: HttpRequest, dataset_id: int) -> HttpResponse:
    found = _found(request, dataset_id)
    domain = domain_named(found.domain)
    context = {
        "dataset": found,
        "domain": domain,
        "summary": Summary.of(found.summary),
        "locked_uses": uses_of_locked_part(found),
        "others": _others(found) if domain.cases else [],
        "versions": [
            (one, measured(one, "auc"), measured(one, "ap"))
            for one in selectors.versions_of(found.site, found.domain).filter(dataset=found)
        ],
        "active": "models",
    }
    return render(request, "modelops/dataset.html", context)


@require_GET
@role_required(Role.ML_ADMIN)
def difference(request: HttpRequest, dataset_id: int) -> HttpResponse:
    """Against `?from=`, another dataset of the domain; the one before where that is left out."""
    found = _found(request, dataset_id)
    others = _others(found)
    named = request.GET.get("from", "")
    before = next((one for one in others if str(one.pk) == named), None) if named else _before(found, others)
    if before is None:
        raise Http404
    shown, fault = None, ""
    try:
        shown = difference_of(before, found)
    except LynceusError as error:
        fault = error.message
    context = {
        "dataset": found, "before": before, "others": others, "difference": shown, "fault": fault,
        "domain": domain_named(found.domain), "active": "models",
    }  # fmt: skip
    return render(request, "modelops/dataset_diff.html", context, status=409 if fault else 200)


def _found(request: HttpRequest, dataset_id: int) -> DatasetSnapshot:
    found = selectors.dataset_for(user_of(request).site, dataset_id)
    if found is None:
        raise Http404
    return found


def _others(found: DatasetSnapshot) -> list[DatasetSnapshot]:
    return list(selectors.datasets_of(found.site, found.domain).exclude(pk=found.pk)[:OTHERS_SHOWN])


def _before(found: DatasetSnapshot, others: list[DatasetSnapshot]) -> DatasetSnapshot | None:
    return next((one for one in others if one.pk < found.pk), others[0] if others else None)
